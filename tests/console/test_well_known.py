"""The last canary report, for everybody."""

from __future__ import annotations

from relayd.store import canary
from tests.console.conftest import Console

PATH = "/.well-known/relay-audit.json"


async def test_the_report_is_served_as_it_was_signed(console: Console) -> None:
    assert (await console.get(PATH)).status == 404
    canary.write(console.db.directory, b'{"report":{}}\n')
    reply = await console.get(PATH)
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert await reply.read() == b'{"report":{}}\n'
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
