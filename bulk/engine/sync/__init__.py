"""Make the platform match the file: look, decide, guard, work."""
