"""Messages go again until they are taken, each time signed anew."""

from __future__ import annotations

import asyncio

from aiohttp import web

from relayd.demo.partner_delivery import Delivery, Message
from relayd.ops.tasks import Tasks


class Listener:
    """Takes the third sending."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.taken = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append((request.headers["X-Sign"], await request.read()))
        if len(self.heard) < 3:
            return web.Response(status=503)
        self.taken.set()
        return web.Response()


async def test_a_message_goes_again_until_it_is_taken() -> None:
    listener = Listener()
    app = web.Application()
    app.router.add_post("/w", listener.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tasks = Tasks(lambda name, error: None)
    delivery = Delivery(tasks, retry_seconds=(0, 0, 0, 0))
    count = iter(range(99))
    message = Message(f"http://127.0.0.1:{runner.addresses[0][1]}/w", b"body",
                      lambda body: ({"X-Sign": str(next(count))}, body))
    delivery.post(message)
    await asyncio.wait_for(listener.taken.wait(), 5)
    await asyncio.sleep(0.05)
    assert listener.heard == [("0", b"body"), ("1", b"body"), ("2", b"body")]
    assert message.is_taken and message.statuses == [503, 503, 200]
    await tasks.close()
    await runner.cleanup()


async def test_nobody_listens() -> None:
    message = Message("http://127.0.0.1:9/", b"", lambda body: ({}, body))
    delivery = Delivery(Tasks(lambda name, error: None), by_itself=False)
    delivery.post(message)
    assert delivery.messages == [message] and message.statuses == []
    assert await delivery.send(message) == 0
    assert not message.is_taken
