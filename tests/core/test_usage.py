"""Usage is a frozen value whose default is nothing."""

import pytest

from relayd.core.usage import Usage


def test_the_default_is_zero_throughout() -> None:
    assert all(getattr(Usage(), name) == 0 for name in Usage.__struct_fields__)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Usage().input_tokens = 1  # type: ignore[misc]
