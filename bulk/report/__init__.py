"""Show people how a run goes and how it ended. A listener of the engine, never a part of it."""
