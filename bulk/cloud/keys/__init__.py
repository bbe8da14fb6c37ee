"""The keys that sign: where they come from, roles assumed with them, and their renewal."""
