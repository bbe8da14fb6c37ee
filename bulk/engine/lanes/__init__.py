"""Products worked off one by one: what is decided, claimed, sent and settled."""
