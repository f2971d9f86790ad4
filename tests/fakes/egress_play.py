"""A whole relay's life in a network where every connection is seen.

`unshare -rn python -m tests.fakes.egress_play FOLDER` says as JSON who was connected to and who
stands in the configuration; with --stray it also begins a connection and a look-up of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from relayd.control import erasure, exposure, key, order
from relayd.control.order import OrderWish
from relayd.control.partner import payments
from relayd.core.actor import SHELL, Actor
from relayd.core.exposure import Exposure
from relayd.ops.clock import unix_ms
from tests.fakes.egress import Egress, lead_all_to_loopback
from tests.fakes.house import MODELS, House

STRAY = "198.51.100.7"
PICTURE = {"type": "image_url", "image_url": {"url": f"https://{STRAY}/cat.png"}}
ROUNDS = ("look", "flush", "sweep", "flag", "round", "turn")
"""What jobs call one turn of their work."""


async def _call(house: House) -> None:
    """Calls with headers, words and pictures that name others."""
    text = (await key.create(house.app.db, house.holder.account, key.KeyWish("k"),
                             unix_ms())).text
    await house.app.refresh()
    host, port = house.app.address
    fields = {"Authorization": f"Bearer {text}", "X-Forwarded-Host": STRAY,
              "HTTP-Referer": f"https://{STRAY}/", "Referer": f"https://{STRAY}/"}
    async with aiohttp.ClientSession(f"http://{host}:{port}", headers=fields) as http:
        for model in MODELS:
            for stream in (False, True):
                reply = await http.post("/v1/chat/completions", json={
                    "model": model, "stream": stream, "messages": [{
                        "role": "user", "content": [
                            {"type": "text", "text": f"see http://{STRAY}/"}, PICTURE]}]})
                assert reply.status == 200, await reply.text()
                await reply.read()
        await (await http.post("/v1/messages", json={
            "model": "no-such", "max_tokens": 9, "messages": []})).read()


async def _visit(house: House) -> None:
    async with aiohttp.ClientSession(house.origin, headers=house.holder.bearer) as http:
        for path in ("/", "/overview", "/legal/privacy", "/api/v1/openapi.json", "/api/v1/keys"):
            await (await http.get(path, headers={"Host": STRAY})).read()


async def _pay(house: House) -> None:
    """An order that is paid, and one that nobody pays."""
    db, now_ms = house.app.db, unix_ms()
    ways = payments(house.partners.config(), house.origin)
    for partner in ("card", "alipay", "wechat"):
        made = await order.create(db, ways, Actor(house.holder.account), house.holder.account,
                                  OrderWish(partner, 50_00), now_ms)
        trade = house.partners.book.of_order(partner, made.id)
        if partner != "wechat" and trade is not None:
            house.partners.book.pay(trade)
            await order.refresh(db, ways, made, now_ms)


async def _rounds(house: House) -> int:
    """One turn of every job at least; returns how many jobs that were."""
    turned = 0
    for job in house.app._jobs.values():
        for name in ROUNDS:
            if (turn := getattr(job, name, None)) is not None:
                await turn()
                turned += 1
    return turned


async def _life(house: House) -> int:
    db, now_ms = house.app.db, unix_ms()
    await _call(house)
    await _visit(house)
    await _pay(house)
    [first, *_] = await key.listing(db, house.holder.account)
    await exposure.flag(db, [Exposure(first.id, house.holder.account, now_ms)],
                        house.origin, now_ms)
    leaver = await house.newcomer("leaver")
    await erasure.ask(db, SHELL, leaver.account, erasure.Wish("operator", at_once=True), now_ms)
    turned = await _rounds(house)
    async with asyncio.timeout(10):
        while len(house.mail.mails) < 2:
            await asyncio.sleep(0.05)
    return turned


def _stray() -> None:
    with socket.socket() as far, suppress(OSError):
        far.settimeout(0.2)
        far.connect((STRAY, 443))
    with suppress(OSError):
        socket.getaddrinfo("stray.example.org", 443)


def main() -> int:
    """Lives, and says whom it spoke to."""
    lead_all_to_loopback()
    with Egress() as egress:
        house = House(Path(sys.argv[1]))
        with house:
            turned = house.run(_life(house))
            assert house.app.console is not None
            known = {"provider": house._upstream.port, "partners": house.partners.port,
                     "mail": house.mail.port, "relay": house.app.address[1],
                     "console": house.app.console.listener.address[1],
                     "ops": house.app.ops_address[1]}
        if "--stray" in sys.argv:
            _stray()
    print(json.dumps({"places": sorted(egress.places), "known": known, "turned": turned,
                      "missed": egress.missed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
