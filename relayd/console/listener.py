"""The console's listener: an aiohttp application made of the route table.

Law: every answer carries the headers below; nothing is logged of a request but an error's code and
an exception's type. No third party is ever contacted by a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from relayd.console import answer, form, gate
from relayd.console.page import STATIC_PREFIX, static_files
from relayd.console.route import PUBLIC, Route
from relayd.console.services import Services
from relayd.console.visit import Visit
from relayd.core.errors import RelayError
from relayd.ops.site import Site

SHUTDOWN_SECONDS: Final = 5.0
YEAR_SECONDS: Final = 31_536_000
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # no-referrer would take the Origin from our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Server": "relayd",
}
_Aio = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _nothing(visit: Visit) -> web.StreamResponse:
    raise RelayError("page_not_found")


NOWHERE: Final = Route("GET", "/", _nothing, PUBLIC, "No page")
"""The route of what has none."""


class ConsoleListener:
    """Takes an address as `[console] listen` has it; `address` says the port that was given."""

    def __init__(self, listen: str, services: Services, routes: Iterable[Route]) -> None:
        self._site = Site(listen, SHUTDOWN_SECONDS)
        self._services = services
        self._routes = tuple(routes)

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) while started; (path, 0) of a Unix socket."""
        return self._site.address

    async def start(self) -> None:
        """Binds; OSError where that fails."""
        await self._site.open(
            application(self._routes, self._services), handler_cancellation=True,
            headers={**HEADERS, "Cache-Control": "no-store"})

    async def stop(self) -> None:
        """Closes the listener and its connections; may be called twice."""
        await self._site.close()


def application(routes: Iterable[Route], services: Services) -> web.Application:
    """The aiohttp application of these routes."""
    app = web.Application(client_max_size=form.BODY_BYTES_MAX, middlewares=[_lost(services)])
    for route in routes:
        app.router.add_route(route.method, route.path, _served(route, services))
        if route.method == "GET":  # RFC 9110 section 9.1: whoever serves GET serves HEAD
            app.router.add_route("HEAD", route.path, _served(route, services))
    app.router.add_get(STATIC_PREFIX + "{name}", _static)

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        # set by aiohttp before
        response.headers["Server"] = HEADERS["Server"]
        response.headers.setdefault("Cache-Control", "no-store")
        if gate.is_secure(services):
            response.headers["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}"

    app.on_response_prepare.append(prepare)
    return app


def _done(response: web.StreamResponse, made: Visit) -> web.StreamResponse:
    """What was changed is in force at once, where a second is a first call that fails."""
    if made.route.method != "GET":
        made.services.changed()
    return response


def _served(route: Route, services: Services) -> _Aio:
    async def handle(request: web.Request) -> web.StreamResponse:
        made: Visit | None = None
        try:
            try:
                made = await gate.visit(request, route, services)
                return await _handled(made)
            except RelayError as error:
                made = made or gate.anonymous(request, route, services)
                return await answer.kept(made, error) or answer.refused(request, made, error)
        except RelayError as error:  # a form that cannot be read
            return answer.refused(request, made, error)
        except (web.HTTPException, ConnectionResetError):
            raise
        except web.RequestPayloadError:  # a body that is not in the coding that it says
            return answer.refused(request, made or gate.anonymous(request, route, services),
                                  RelayError("invalid_json" if route.is_api else "invalid_form"))
        except Exception as error:
            services.logger.fault("console", error)
            return answer.refused(request, made, RelayError("internal"))

    return handle


async def _handled(made: Visit) -> web.StreamResponse:
    services, route = made.services, made.route
    await services.frame.admit(made)
    if not route.is_api:
        made.banners = await services.frame.banners(made)
        return _done(await route.handler(made), made)
    done = _done(await route.handler(made), made)
    return _told(done, await services.frame.headers(made))


def _told(response: web.StreamResponse, headers: Mapping[str, str]) -> web.StreamResponse:
    if not response.prepared:
        response.headers.update(headers)
    return response


async def _static(request: web.Request) -> web.Response:
    found = static_files().get(request.match_info["name"])
    if found is None:
        return answer.bare(RelayError("not_found"))
    return web.Response(body=found[0], content_type=found[1], headers={
        "Cache-Control": f"public, max-age={YEAR_SECONDS}, immutable"})


def _lost(services: Services) -> Middleware:
    """Answers paths and methods that are not served, in the shape of what was asked."""

    @web.middleware
    async def answered(request: web.Request, handler: _Aio) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return refused(request, "page_not_found")
        except web.HTTPMethodNotAllowed as error:
            response = refused(request, "method_not_allowed")
            response.headers["Allow"] = error.headers.get("Allow", "")
            return response

    def refused(request: web.Request, code: str) -> web.Response:
        made = gate.anonymous(request, NOWHERE, services)
        return answer.refused(request, made, RelayError(code))

    return answered
