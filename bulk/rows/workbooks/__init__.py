"""Workbooks (.xlsx) as tables: the archive, what its cells hold, what a person sees of them, and their rows."""
