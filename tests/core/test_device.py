"""Coarse devices: a closed vocabulary, whatever an agent says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.device import device, known


@pytest.mark.parametrize(("agent", "said"), [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
     "Firefox on Linux"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
     "Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iOS"),
    ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
     "Mobile Safari/537.36", "Chrome on Android"),
    ("curl/8.14.1", "curl"), ("", "other"), ("my secret agent", "other"),
])
def test_what_is_said(agent: str, said: str) -> None:
    assert device(agent) == said


@given(st.text(max_size=600))
def test_nothing_of_an_agent_is_left(agent: str) -> None:
    assert known(device(agent))


@pytest.mark.parametrize("text", ["", "my agent", "Firefox on my phone", "Firefox on"])
def test_other_words_are_not_known(text: str) -> None:
    assert not known(text)
