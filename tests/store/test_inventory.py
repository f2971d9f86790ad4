"""The inventory that is shipped can be read."""

from __future__ import annotations

from relayd.store import inventory


def test_it_is_read() -> None:
    found = inventory.read()
    assert len(found.fields) > 400 and found.categories["content"].data_class == "content"
    assert next(iter(found.categories)) == "content"
