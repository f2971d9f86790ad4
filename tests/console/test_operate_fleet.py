"""The fleet is shown as the relay gives it."""

from __future__ import annotations

import msgspec

from relayd.console.services import Services
from relayd.core.fleet import DeploymentStanding, Fleet, ProviderStanding, RouteStanding
from relayd.store.db import Database
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

FLEET = Fleet(
    (ProviderStanding("one", "openai", True, 3, 1, 2, True),
     ProviderStanding("two", "anthropic", False, 0, 0, 1, False)),
    (RouteStanding("m-<1>", (), "cheapest", ("spare",), (
        DeploymentStanding("one", "sent-as", 2, 1, "cooling", 250.0, 4, 5),
        DeploymentStanding("two", None, 1, 2, "healthy", None, None, None))),))


class Fleeted(Console):
    """A console whose relay has a fleet."""

    def services(self) -> Services:
        made = super().services()
        made.relay = lambda: FLEET
        return made


async def test_the_page_and_the_api(db: Database, console: Console) -> None:
    other = Fleeted(db, console.config)
    await other.start()
    who = await person(db, NOW_MS, "support", two_factors=True)
    try:
        text = await (await other.get("/operate/providers", cookies=who.cookies)).text()
        for part in ("m-&lt;1&gt;", "sent-as", "250 ms", "4 / 5", "cheapest", "then spare",
                     "in no route", 'state bad">down', 'state warn">cooling'):
            assert part in text
        answer = await other.get("/api/v1/operate/providers", headers=who.bearer)
        assert msgspec.json.decode(await answer.read(), type=Fleet) == FLEET
    finally:
        await other.stop()


async def test_nothing_is_set_up(console: Console) -> None:
    who = await person(console.db, NOW_MS, "owner", two_factors=True)
    text = await (await console.get("/operate/providers", cookies=who.cookies)).text()
    assert 'class="card empty"' in text
