"""Read whole accounts: for an export, a comparison, a map. Nothing in here can write to a platform."""
