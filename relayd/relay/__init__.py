"""The data plane: client connections, upstream connections, and what happens between them."""
