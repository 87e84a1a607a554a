"""Transports of the host's own: see `transport.base.HttpTransport`."""
