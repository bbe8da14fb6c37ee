"""Log events, and the ways on which they leave the process without holding it up."""
