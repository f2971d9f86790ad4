"""Bytes and protocols: pure functions and tables over what passes on the wire."""
