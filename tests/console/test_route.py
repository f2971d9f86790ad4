"""A route without access cannot be made."""

from __future__ import annotations

import pytest
from aiohttp import web

from relayd.console.page import nothing
from relayd.console.route import HOLDER, Route, operators
from relayd.console.visit import Visit


async def _handler(visit: Visit) -> web.StreamResponse:
    return nothing()


def test_a_route_says_who_may_use_it() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/x", _handler, summary="No access.")  # type: ignore[call-arg]


@pytest.mark.parametrize("roles", [(), ("holder",), ("support", "king")])
def test_operators_routes_name_roles_that_there_are(roles: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        operators(*roles)  # type: ignore[arg-type]


def test_the_api_is_below_its_prefix() -> None:
    assert Route("GET", "/api/v1/x", _handler, HOLDER, "X.").is_api
    assert not Route("GET", "/api", _handler, HOLDER, "X.").is_api
