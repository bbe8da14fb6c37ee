"""From bytes to numbered lines of text, whatever the bytes turn out to be."""
