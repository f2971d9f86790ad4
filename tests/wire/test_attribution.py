"""I2e: what is read of X-Title and HTTP-Referer, and all that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.key import APP_CHARS_MAX
from relayd.wire.attribution import REFERER, TITLE, application


@pytest.mark.parametrize(("title", "referer", "label"), [
    (b"My Chat", b"https://chat.example", "My Chat"),
    (b"  two   words\t", None, "two words"),
    ("\u804a\u5929".encode(), None, "\u804a\u5929"),
    (None, b"https://Chat.Example/path?user=ann@example.org#x", "https://chat.example"),
    (None, b"https://chat.example:443/", "https://chat.example"),
    (None, b"http://localhost:3000", "http://localhost:3000"),
    (None, b"http://[::1]:80/x", "http://[::1]"),
    (b"", b"https://chat.example?q=1", "https://chat.example"),
    (b"x" * APP_CHARS_MAX, None, "x" * APP_CHARS_MAX),
    (None, b"https://" + b"a" * (APP_CHARS_MAX - 16) + b".example",
     "https://" + "a" * (APP_CHARS_MAX - 16) + ".example"),
    # too long to be a name, not text, not to be printed: then the address says it
    (b"x" * (APP_CHARS_MAX + 1), b"https://a.example", "https://a.example"),
    (b"\xff\xfe", b"https://a.example", "https://a.example"),
    (b"a\x1b[31m", None, None), ("\u202ebad".encode(), None, None),
    (None, b"https://ann:secret@chat.example/", None),
    (None, b"file:///home/ann", None), (None, b"chat.example", None), (None, b"https://", None),
    (None, b"https://" + b"a" * 63 + b".example", None), (None, b"https://a b/", None),
    (None, None, None),
])
def test_I2e_what_is_read(title: bytes | None, referer: bytes | None, label: str | None) -> None:
    given_fields = {TITLE: title, REFERER: referer}
    assert application({n: v for n, v in given_fields.items() if v is not None}) == label


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_I2e_a_label_is_short_and_can_be_printed(title: bytes, tail: bytes) -> None:
    found = application({TITLE: title, REFERER: b"https://a.example" + tail})
    assert found is None or (0 < len(found) <= APP_CHARS_MAX and found.isprintable())


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80))
def test_I2e_nothing_behind_the_host_is_kept(tail: str) -> None:
    found = application({REFERER: f"https://a.example/{tail}".encode()})
    assert found == "https://a.example"


@pytest.mark.parametrize("host", [b"a" * 50_000, b"a." * 25_000, b"a-" * 25_000])
def test_I2e_a_host_that_goes_wrong_late_is_read_once(host: bytes) -> None:
    assert application({b"http-referer": b"https://" + host + b"!"}) is None
