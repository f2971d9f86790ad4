"""The journal's lines as values: positional, without names, and back."""

import msgspec

from relayd.core.journal import Mark, Opening
from relayd.core.usage import Usage


def test_lines_are_positional_and_come_back() -> None:
    opening = Opening(
        "01J", 7, "acct", "key", None, "openai", "/v1/responses", "m", "p", "m", True)
    mark = Mark("01J", "p", "m", 1, 200, 3, 4, True, Usage(3, 4), 1.5)
    for line, kind in ((opening, Opening), (mark, Mark)):
        raw = msgspec.msgpack.encode(line)
        assert b"account" not in raw and b"attempts" not in raw
        assert msgspec.msgpack.decode(raw, type=kind) == line
