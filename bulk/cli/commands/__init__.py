"""One file a command, loaded only when it is used."""
