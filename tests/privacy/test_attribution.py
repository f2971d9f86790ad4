"""I2e: what application a request says it is of is kept where its account wants that, and is never
sent on.
"""

from __future__ import annotations

import sqlite3

from relayd.control import account, erasure, key, series
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.core.actor import SHELL
from relayd.core.retention import Terms
from relayd.core.series import period
from relayd.ops.clock import unix_ms
from relayd.store.db import FILE_NAME
from relayd.store.signing import open_signer
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.privacy.canary import IDENTITY, found_below
from tests.privacy.test_training import decide
from tests.relay.conftest import Opened, opened

__all__ = ["opened"]

ITEM = "app_attribution"
SAID = (("X-Title", f"{IDENTITY}chat"),
        ("HTTP-Referer", "https://chat.example/room/7?user=zq7identity-user"))


async def call(lane: Lane, fields: tuple[tuple[str, str], ...] = SAID, text: str = "") -> None:
    raw = request_bytes(TARGET, text or lane.key, BODY, fields=fields)
    assert (await ask(lane.address, raw)).status == 200


async def test_I2e_nothing_is_kept_of_it_by_itself(opened: Opened) -> None:
    lane = await opened()
    await call(lane)
    [record] = await lane.settled(1)
    assert record.app is None
    assert found_below(lane.store) == {}
    assert b"zq7" not in lane.upstream.requests[0].raw.lower()


async def test_I2e_it_is_kept_where_it_was_switched_on_and_never_sent_on(opened: Opened) -> None:
    lane = await opened()
    await decide(lane, ITEM)
    await call(lane)
    await call(lane, SAID[1:])
    await decide(lane, ITEM, withdraw=True)
    await call(lane)
    assert [record.app for record in await lane.settled(3)] == [
        f"{IDENTITY}chat", "https://chat.example", None]
    for request in lane.upstream.requests:
        assert b"title" not in request.raw.lower() and b"chat.example" not in request.raw
    with sqlite3.connect(lane.store / FILE_NAME) as rows:  # nothing of the path or the query
        assert "zq7identity-user" not in "".join(rows.iterdump())


async def test_I2e_it_is_shown_in_use_by_application(opened: Opened) -> None:
    lane = await opened()
    await decide(lane, ITEM)
    await call(lane)
    await lane.settled(1)
    [owner] = await account.listing(lane.app.db)
    found = await series.points(lane.app.db, owner.id, period("24h", unix_ms()), "app")
    assert [point.name for point in found] == [f"{IDENTITY}chat"]


async def test_I2e_a_key_s_own_label_stands(opened: Opened) -> None:
    lane = await opened()
    await decide(lane, ITEM)
    [owner] = await account.listing(lane.app.db)
    issued = await key.create(lane.app.db, owner.id, KeyWish("k", app="own"), unix_ms())
    await lane.app.refresh()
    await call(lane, text=issued.text)
    assert (await lane.settled(1))[0].app == "own"


async def test_I2e_it_goes_with_the_account(opened: Opened) -> None:
    lane = await opened()
    await decide(lane, ITEM)
    await call(lane)
    await lane.settled(1)
    [owner] = await account.listing(lane.app.db)
    means = Means(open_signer(lane.app.db.directory), Terms())
    await erasure.at_once(lane.app.db, means, SHELL, owner.id, unix_ms())
    with sqlite3.connect(lane.store / FILE_NAME) as rows:
        assert IDENTITY not in "".join(rows.iterdump())
