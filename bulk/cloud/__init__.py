"""The platform: how a request is written, signed, sent and answered, and what an error code means."""
