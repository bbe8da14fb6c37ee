"""Options that commands share: declared, read, and turned into settings."""
