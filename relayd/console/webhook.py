"""Where payment partners' messages come in.

Law: the body is read whole and bounded, goes to the partner's adapter as it came, and is neither
kept nor logged. What was refused is answered with an error, what was dealt with as the partner
wants it; both are counted without a word of theirs. Whoever forges messages by the thousand makes
a line a minute of the log, with their number.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relayd.console import form
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import webhook
from relayd.control.partner import WEBHOOK_PATH
from relayd.core.errors import RelayError

BODY_BYTES_MAX: Final = 1024 * 1024
"""Stripe's message about a dispute has all of its evidence: 150,000 characters, of which each may
stand as six bytes."""
_FOREIGN: Final = frozenset({"webhook_forged", "webhook_stale", "webhook_unreadable"})


async def _body(visit: Visit) -> bytes:
    """A message's body. One that is larger than a form's is waited for where few others are:
    whoever sends it is not known yet, and a partner sends it again."""
    request, large = visit.request, visit.services.large_messages
    if (request.content_length or 0) <= form.BODY_BYTES_MAX:
        return await form.body(request)
    if large.locked():
        raise RelayError("overloaded")
    async with large:
        return await form.body(request.clone(client_max_size=BODY_BYTES_MAX))


async def hear(visit: Visit) -> web.Response:
    """One message."""
    request = visit.request
    body = await _body(visit)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        heard = await webhook.hear(visit.db, visit.services.payments(), visit.name("partner"),
                                   (headers, body), visit.now_ms)
    except RelayError as error:
        visit.services.messages[error.code] += 1
        if error.code in _FOREIGN:
            visit.services.notices.warn("webhook_refused", code=error.code)
        raise
    visit.services.messages[heard.outcome] += 1
    if heard.is_alarm:
        visit.services.logger.error("payment_alarm", reason=heard.outcome)
    told = heard.acknowledgement
    if told.status == 204:
        return web.Response(status=204)
    return web.Response(status=told.status, body=told.body, content_type=told.content_type)


ROUTES: Final = (
    Route("POST", WEBHOOK_PATH + "{partner}", hear, PUBLIC, "A payment partner's message",
          from_anywhere=True, example={"partner": "card"},
          errors=("partner_not_found", "webhook_forged", "webhook_stale", "webhook_unreadable",
                  "partner_failed", "partner_refused", "overloaded")),
)
