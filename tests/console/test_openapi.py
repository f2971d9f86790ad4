"""The API's description is made of what is served."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from aiohttp import web

from relayd.console import openapi, pages
from relayd.console.page import nothing
from relayd.console.route import HOLDER, PUBLIC, Route, operators
from relayd.console.texts import texts
from relayd.console.visit import Visit
from relayd.core.errors import ERRORS


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """A test's body."""

    name: str


class Query(msgspec.Struct, forbid_unknown_fields=True):
    """A test's query."""

    since: str
    most: int | None = None


class Gift(msgspec.Struct):
    """A test's answer."""

    id: str
    wish: Wish


async def _handler(visit: Visit) -> web.StreamResponse:
    return nothing()


ROUTES = (
    Route("POST", "/api/v1/wishes", _handler, HOLDER, "Wish.", takes=Wish, gives=Gift, status=201,
          errors=("key_not_found",), proof=True),
    Route("GET", "/api/v1/wishes/{wish}", _handler, PUBLIC, "Look.", asks=Query, gives=Gift),
    Route("DELETE", "/api/v1/wishes/{wish}", _handler, operators("legal"), "Drop.", status=204),
    Route("GET", "/wishes", _handler, HOLDER, "A page."),
)


def test_the_document_says_what_is_taken_and_given() -> None:
    made = openapi.document(ROUTES)
    assert set(made["paths"]) == {"/api/v1/wishes", "/api/v1/wishes/{wish}"}
    post = made["paths"]["/api/v1/wishes"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Wish"}
    assert post["responses"]["201"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Gift"}
    assert made["components"]["schemas"]["Wish"]["additionalProperties"] is False
    assert post["security"] == [{"session": []}]


def test_parameters_come_from_path_and_query() -> None:
    get = openapi.document(ROUTES)["paths"]["/api/v1/wishes/{wish}"]["get"]
    assert {(each["name"], each["in"], each["required"]) for each in get["parameters"]} == {
        ("wish", "path", True), ("since", "query", True), ("most", "query", False)}
    assert get["security"] == [] and get["x-access"] == "public"
    assert get["responses"]["422"]["description"] == "card_number, invalid_form"
    most = next(each for each in get["parameters"] if each["name"] == "most")
    assert most["schema"] == {"type": "integer"}


def test_refusals_are_declared_by_status() -> None:
    made = openapi.document(ROUTES)["paths"]
    post = made["/api/v1/wishes"]["post"]["responses"]
    assert "key_not_found" in post["404"]["description"]
    assert {"proof_needed", "foreign_origin"} <= set(post["403"]["description"].split(", "))
    drop = made["/api/v1/wishes/{wish}"]["delete"]
    assert drop["x-roles"] == ["legal"]
    assert "role_needed" in drop["responses"]["403"]["description"]
    assert "content" not in drop["responses"]["204"]


def test_what_is_served_can_be_described() -> None:
    made: dict[str, Any] = json.loads(openapi.encoded(pages.ROUTES))
    described = {(method.upper(), path) for path, methods in made["paths"].items()
                 for method in methods}
    assert described == {(route.method, route.path) for route in pages.ROUTES if route.is_api}
    ids = [operation["operationId"] for methods in made["paths"].values()
           for operation in methods.values()]
    assert len(ids) == len(set(ids))


def test_a_schema_has_a_name_that_a_generated_client_can_take() -> None:
    # two of one name are told apart by their modules, which generators drop with all that has them
    made = openapi.document(pages.ROUTES)["components"]["schemas"]
    assert [name for name in made if not name.isalnum()] == []


def test_every_code_that_a_route_names_is_in_the_table() -> None:
    assert all(code in ERRORS for route in pages.ROUTES for code in openapi.codes(route))


def test_every_error_of_a_route_is_told_in_both_languages() -> None:
    found = {code for route in pages.ROUTES for code in openapi.codes(route)}
    assert [code for code in sorted(found) if f"errors.{code}" not in texts()] == []


def test_what_is_sent_may_come_too_late() -> None:
    [route] = [each for each in pages.ROUTES
               if (each.method, each.path) == ("POST", "/api/v1/contact")]
    assert "request_timeout" in openapi.codes(route)


def test_what_may_become_of_the_store_is_told_of_every_route() -> None:
    """Also what a daemon finds out while it runs."""
    for route in pages.ROUTES:
        assert {"store_busy", "store_damaged", "store_failed", "store_moved",
                "store_permission"} <= set(openapi.codes(route))


def test_an_address_that_is_not_accepted_is_a_refusal_of_signing_up() -> None:
    [route] = [each for each in pages.ROUTES
               if (each.method, each.path) == ("POST", "/api/v1/registrations")]
    assert "mail_disposable" in openapi.codes(route)
