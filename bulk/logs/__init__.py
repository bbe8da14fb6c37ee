"""Log events, and how they leave the process without blocking it."""
