"""What a provider's answer must be like to be kept."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.verification import Answer, checked


def test_an_answer_is_kept_as_it_is() -> None:
    answer = Answer("verified", "document", "ref-1")
    assert checked("fake", answer) is answer and "ref-1" not in repr(answer)
    for reference in ("r", "r" * 128):
        assert checked("fake", Answer("refused", "name", reference)).reference == reference


@pytest.mark.parametrize(("provider", "reference"), [
    ("Fake", "r"), ("", "r"), ("fake", ""), ("fake", "r\n"), ("fake", "r" * 129)])
def test_what_cannot_be_kept(provider: str, reference: str) -> None:
    with pytest.raises(RelayError):
        checked(provider, Answer("refused", "name", reference))
