"""The file itself: found, locked, opened, upgraded, watched."""
