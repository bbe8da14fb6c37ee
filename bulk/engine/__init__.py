"""Put the rooms together: read the input in, work the lanes off, say how it ended."""
