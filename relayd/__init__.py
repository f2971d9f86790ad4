"""relayd: an LLM relay that hides the client, counts every token and records every call once."""

__version__ = "0.1.0"
