"""Put the parts of a run together: read the input, work through the lanes, report how the run ended."""
