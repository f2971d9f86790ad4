"""Input that holds a secret, and answers that hold a token, show neither in a repr."""

from __future__ import annotations

import inspect

import pytest

from relayd.console import pages
from relayd.console.signed import Secret, Token

SECRETS = sorted({route.takes for route in pages.ROUTES
                  if inspect.isclass(route.takes) and issubclass(route.takes, Secret)},
                 key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", SECRETS)
def test_input_is_not_in_a_repr(kind: type[Secret]) -> None:
    values = {name: "canary" for name in kind.__struct_fields__}
    assert "canary" not in repr(kind(**values))


def test_secret_fields_are_in_such_input_alone() -> None:
    for route in pages.ROUTES:
        fields = getattr(route.takes, "__struct_fields__", ())
        if {"password", "code"} & set(fields):
            assert route.takes in SECRETS, route.path


def test_a_token_is_not_in_a_repr() -> None:
    assert "rs_x" not in repr(Token("rs_x", "open", "sess_1", ""))
