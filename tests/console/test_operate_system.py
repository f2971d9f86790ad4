"""The system page shows what the metrics read, and marks what should be nothing."""

from __future__ import annotations

import msgspec

from relayd import __version__
from relayd.console.operate_system import BAD, System
from relayd.console.services import Services
from relayd.console.texts import texts
from relayd.ops.metrics_gauges import Gauges
from relayd.store.db import Database
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person


class Measured(Console):
    """A console whose relay has figures."""

    def services(self) -> Services:
        made = super().services()
        made.gauges = Gauges(
            ready=lambda: True, journal_bytes=lambda: 123_456, flush_failures=lambda: 3,
            loop_lag_seconds=lambda: 0.0125, store_bytes=lambda: {"database": 7_000_000},
            certificate_expiry=lambda: {"public": 1_800_000_000.0},
            overload_refusals=lambda: {"memory": 2})
        return made


async def test_the_page_and_the_api(db: Database, console: Console) -> None:
    other = Measured(db, console.config)
    await other.start()
    who = await person(db, NOW_MS, "support", two_factors=True)
    try:
        text = await (await other.get("/operate/system", cookies=who.cookies)).text()
        for part in ("123,456", "7,000,000", 'state bad">3<', "12.5", "2027-01-15", __version__):
            assert part in text
        answer = await other.get("/api/v1/operate/system", headers=who.bearer)
        found = msgspec.json.decode(await answer.read(), type=System)
        assert found.journal_bytes == 123_456 and found.overload_refusals == {"memory": 2}
    finally:
        await other.stop()


def test_every_figure_has_its_words() -> None:
    names = set(System.__struct_fields__) - {"version", "python", "ready", "store_bytes",
                                             "overload_refusals", "certificates"}
    assert names >= BAD
    assert {f"operate.system.{name}" for name in names} <= set(texts())
