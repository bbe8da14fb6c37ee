"""The platform as the file says: look, decide, guard, work."""
