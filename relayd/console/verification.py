"""Identity verification: what is known, the way to the verifier, and its messages.

Law: a message's body is read whole and bounded, and is neither kept nor logged. Nothing that a
person shows is taken here: there is no upload.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console import form
from relayd.console.page import page, reply
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import verification
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.core.verification import Check
from relayd.ops.configfile_mail import console_url
from relayd.wire import verification as wire_verification

WEBHOOK: Final = "/identity/webhook"


class IdentityCheck(msgspec.Struct, frozen=True):
    """One verdict. `level`: what was compared."""

    provider: str
    verdict: str
    level: str
    at: str


class Identity(msgspec.Struct, frozen=True):
    """Whether identities are verified here, and the verdicts so far, the newest first."""

    offered: bool
    checks: list[IdentityCheck]


class IdentityPage(msgspec.Struct, frozen=True):
    """Where the holder shows the verifier who they are; within 14 days."""

    page: str


def _shown(check: Check) -> IdentityCheck:
    return IdentityCheck(
        check.provider, check.answer.verdict, check.answer.level, rfc3339(check.at_ms))


async def _known(visit: Visit) -> Identity:
    found = await verification.listing(visit.db, visit.account)
    return Identity(bool(visit.services.config().identity.name),
                    [_shown(each) for each in reversed(found)])


async def _begun(visit: Visit) -> str:
    config = visit.services.config()
    return await verification.begin(
        visit.db, config.identity, visit.account,
        console_url(config.console, config.console_listen), visit.now_ms)


async def show(visit: Visit) -> web.Response:
    """The verdicts so far, and the way to another."""
    return page(visit, "settings/identity.html", known=await _known(visit), to=None)


async def begin(visit: Visit) -> web.Response:
    """The link to the verifier's page."""
    to = await _begun(visit)
    return page(visit, "settings/identity.html", known=await _known(visit), to=to)


async def api_show(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _known(visit))


async def api_begin(visit: Visit) -> web.Response:
    """The link as JSON."""
    return reply(IdentityPage(await _begun(visit)))


async def hear(visit: Visit) -> web.Response:
    """One message of the verifier's."""
    request, config = visit.request, visit.services.config().identity
    if not config.name:
        raise RelayError("identity_off")
    body = await form.body(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    told = wire_verification.read(headers, body, config.secrets, visit.now_ms)
    if told is not None:
        await verification.hear(visit.db, config, told, visit.now_ms)
    return web.Response(status=204)


ROUTES: Final = (
    Route("GET", "/settings/identity", show, HOLDER, "Verdicts about one's identity."),
    Route("POST", "/settings/identity", begin, HOLDER, "The way to the verifier.",
          errors=("identity_off", "account_state")),
    Route("GET", "/api/v1/identity", api_show, HOLDER, "Verdicts about one's identity.",
          gives=Identity),
    Route("POST", "/api/v1/identity", api_begin, HOLDER, "Where to show who one is.",
          gives=IdentityPage, errors=("identity_off", "account_state")),
    Route("POST", WEBHOOK, hear, PUBLIC, "A verifier's message", from_anywhere=True,
          errors=("identity_off", "webhook_forged", "webhook_stale", "webhook_unreadable",
                  "account_state", "invalid_value")),
)
