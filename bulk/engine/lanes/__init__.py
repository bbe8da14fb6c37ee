"""Work through products one by one: decide, claim, send and settle."""
