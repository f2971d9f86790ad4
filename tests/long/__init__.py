"""The ledger through crashes, faults, power cuts and restarts, under load.

`make test-long` runs every round; the ordinary suite runs a few of each.
"""
