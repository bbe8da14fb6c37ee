"""Workbooks (.xlsx) as tables: the archive, its cells, what a person sees in them, and their rows."""
