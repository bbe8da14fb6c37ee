"""Many machines, one input: a store that they share, and what makes sharing it safe."""
