"""What the tests of the data plane share: the encodings, loaded once."""

from __future__ import annotations

import pytest

from relayd.relay.tokenizer import NAMES, Encodings


@pytest.fixture(scope="session")
def encodings() -> Encodings:
    loaded = Encodings()
    loaded.load(NAMES)
    return loaded
