"""Decide: how fast, whether again, who gets a slot, when to stop. Pure: no I/O, the clock is given."""
