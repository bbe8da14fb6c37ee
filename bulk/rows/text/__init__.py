"""From bytes in any encoding to numbered lines of text; other kinds of files are refused with advice."""
