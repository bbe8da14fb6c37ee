"""What the platform keeps: worlds, what they start with, their journal, and who changes them from outside."""
