"""Tables of text, CSV and TSV: the header, its columns, and record after record."""
