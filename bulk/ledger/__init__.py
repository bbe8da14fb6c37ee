"""The SQLite file that is both the queue and the record of a run."""
