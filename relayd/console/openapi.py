"""The API's own description: OpenAPI 3.1, made of the route table.

Law: what the document says is what is served: paths, inputs and answers come from the same
declarations that the gate and the handlers use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, get_type_hints

import msgspec
from aiohttp import web

from relayd import __version__
from relayd.console.page import reply
from relayd.console.route import API_PREFIX, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.core.errors import ERRORS

REF: Final = "#/components/schemas/{name}"
_NAME: Final = re.compile(r"\{([a-z_]+)\}")
_ANY: Final = (
    "internal", "store_busy", "store_damaged", "store_failed", "store_moved", "store_permission")
_SIGNED_IN: Final = ("session_ended", "account_state", "consent_missing")
_OPERATOR: Final = ("role_needed", "factor_needed")


class Problem(msgspec.Struct):
    """Why something was refused. `param` names the field at fault."""

    code: str
    message: str
    param: str | None = None


class Refusal(msgspec.Struct):
    """The body of every answer that is no success."""

    error: Problem


def codes(route: Route) -> tuple[str, ...]:
    """The errors that a route may answer with."""
    found = [*_ANY, *route.errors]
    if route.access.kind != "public":
        found += _SIGNED_IN
    if route.access.kind == "operator":
        found += _OPERATOR
    if route.proof:
        found.append("proof_needed")
    if route.factors:
        found.append("factor_needed")
    if route.takes is not None:
        found += ("invalid_form", "card_number", "invalid_json")
    if route.asks is not None:
        found += ("invalid_form", "card_number")
    if route.method != "GET":
        found += ("foreign_origin", "body_too_large", "request_timeout", "invalid_form")
    return tuple(dict.fromkeys(found))


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document for the API among these routes."""
    api = [route for route in routes if route.is_api]
    kinds = [kind for route in api for kind in (route.takes, route.gives)
             if kind is not None]
    schemas, components = msgspec.json.schema_components([*kinds, Refusal], ref_template=REF)
    found = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in api:
        body = next(found) if route.takes is not None else None
        answer = next(found) if route.gives is not None else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body, answer)
    return {
        "openapi": "3.1.0",
        "info": {"title": "relayd", "version": __version__,
                 "description": "Accounts, keys, use and rights, as on the console's pages."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, body: Any, answer: Any) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        success["content"] = {"application/json": {"schema": answer}}
    made: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {str(route.status): success, **_refusals(route)},
        "security": [] if route.access is PUBLIC else [{"session": []}],
        "x-access": route.access.kind,
    }
    if route.access.roles:
        made["x-roles"] = sorted(route.access.roles)
    if body is not None:
        made["requestBody"] = {"required": True,
                               "content": {"application/json": {"schema": body}}}
    return made


def _operation_id(route: Route) -> str:
    path = route.path.removeprefix(API_PREFIX)
    return f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path).strip('_')}"


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "string", "minLength": 1}}
        for name in _NAME.findall(route.path)]
    if route.asks is not None:
        schema = msgspec.json.schema(route.asks)
        name = schema["$ref"].rpartition("/")[2]
        fields = schema["$defs"][name]
        needed = fields.get("required", ())
        found += [{"name": field, "in": "query", "required": field in needed,
                   "schema": _without_null(fields["properties"][field])}
                  for field in get_type_hints(route.asks)]
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query's field is there or not; it has no null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if len(options) == 1:
        return {**kept, **options[0]}
    return {**kept, "anyOf": options} if options else kept


def _refusals(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes(route):
        by_status.setdefault(ERRORS[code].status, []).append(code)
    schema = {"$ref": REF.format(name=Refusal.__name__)}
    return {
        str(status): {"description": ", ".join(sorted(found)),
                      "content": {"application/json": {"schema": schema}}}
        for status, found in sorted(by_status.items())}


@cache
def encoded(routes: tuple[Route, ...]) -> bytes:
    """The document as JSON; made once."""
    return msgspec.json.encode(document(routes))


async def serve(visit: Visit) -> web.StreamResponse:
    """The document of what this listener serves."""
    return reply(msgspec.Raw(encoded(visit.services.routes)))


ROUTES: Final = (
    Route("GET", f"{API_PREFIX}openapi.json", serve, PUBLIC, "This document",
          gives=dict[str, Any]),
)
