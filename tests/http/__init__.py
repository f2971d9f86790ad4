"""Requests and replies as bytes: what a strict relay makes of them."""
