"""The keys that sign: where they are from, roles on top of them, and their renewal."""
