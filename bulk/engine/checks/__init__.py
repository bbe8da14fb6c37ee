"""What `bulk doctor` looks at."""
