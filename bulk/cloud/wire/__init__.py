"""The way to an endpoint: connections, proxies, certificates, and what went wrong on it."""
