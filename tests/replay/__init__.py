"""Recorded traffic, replayed through the relay."""
