"""Use cases on accounts, keys and records, one transaction each."""
