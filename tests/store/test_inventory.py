"""The inventory that is shipped can be read."""

from __future__ import annotations

from relayd.store import inventory
from relayd.store.journal import SEGMENT_SECONDS


def test_it_is_read() -> None:
    found = inventory.read()
    assert len(found.fields) > 400 and found.categories["content"].data_class == "content"
    assert next(iter(found.categories)) == "content"


def test_the_journal_s_term_is_that_of_its_files() -> None:
    """A line stands in its file after it is stored, until the file ends."""
    found = inventory.read()
    told = found.terms[found.categories["journal"].term]
    assert SEGMENT_SECONDS == 3600 and "an hour" in told["en"] and "一小时" in told["zh"]
