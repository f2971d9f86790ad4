"""The demo's payment partners as a server on one loopback port: hosted pages, three APIs, a desk.

Law: off the relay path. It signs, retries and keeps books as real partners do, so that a purchase,
a refund and a dispute can be tried end to end without a network and without money.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import web

from relayd.core.partner import PartnerKind
from relayd.demo import partner_page
from relayd.demo.partner_alipay import AlipayFace
from relayd.demo.partner_delivery import Delivery, Message
from relayd.demo.partner_keys import PartnerKeys, payments_config
from relayd.demo.partner_stripe import StripeFace
from relayd.demo.partner_trade import Book, Returned, Trade
from relayd.demo.partner_wechat import WeChatFace
from relayd.ops.clock import unix_ms
from relayd.ops.config_payments import PaymentsConfig
from relayd.ops.tasks import Tasks

BODY_BYTES_MAX: Final = 256 * 1024
SHUTDOWN_SECONDS: Final = 0.5
_JSON: Final = "application/json"


class DemoPartner:
    """All three partners. `webhook` is where the card partner's messages go, as at Stripe its own
    pages say; the others are told with each order."""

    def __init__(self, keys: PartnerKeys, webhook: str, *,
                 now_ms: Callable[[], int] = unix_ms, by_itself: bool = True) -> None:
        self._keys = keys
        self._tasks = Tasks(_unheard)
        self._runner: web.AppRunner | None = None
        self.book = Book(now_ms)
        self.delivery = Delivery(self._tasks, by_itself=by_itself)
        self._stripe = StripeFace(self.book, keys, webhook)
        self._alipay = AlipayFace(self.book, keys)
        self._wechat = WeChatFace(self.book, keys)
        self.port = 0

    @property
    def origin(self) -> str:
        """Where it is, while it is started."""
        return f"http://127.0.0.1:{self.port}"

    def config(self) -> PaymentsConfig:
        """`[payments]` that leads here."""
        return payments_config(self._keys, self.origin)

    async def start(self, port: int = 0) -> None:
        """Binds; OSError where that fails. Port 0: any free one."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/page/{session}", self._show)
        app.router.add_post("/page/{session}", self._decide)
        app.router.add_get("/desk", self._desk)
        app.router.add_post("/desk/{session}", self._step)
        app.router.add_route("*", "/stripe/v1/{path:.+}", self._as_stripe)
        app.router.add_route("*", "/alipay/gateway.do", self._as_alipay)
        app.router.add_get("/alipay/bill", self._alipay_bill)
        app.router.add_route("*", "/wechat/{path:.+}", self._as_wechat)
        runner = self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            await self.stop()
            raise
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the listener; messages that wait are given up. May be called twice."""
        await self._tasks.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # what people do on its pages

    def pay(self, trade: Trade) -> bool:
        """The payer pays, and the merchant is told."""
        done = self.book.pay(trade)
        if done:
            self.tell(trade, "paid")
        return done

    def refund(self, trade: Trade, asked: str = "", amount: int | None = None
               ) -> Returned | None:
        """The partner itself returns money, and tells the merchant."""
        made = self.book.refund(trade, asked, trade.left if amount is None else amount)
        if made is not None:
            self.tell(trade, "refunded", made)
        return made

    def dispute(self, trade: Trade) -> None:
        """The payer's bank asks for the payment back."""
        if self.book.dispute(trade) is not None:
            self.tell(trade, "disputed")

    def close(self, trade: Trade, *, won: bool) -> None:
        """The partner decides a dispute."""
        if trade.dispute is not None and trade.dispute.state == "needs_response":
            trade.dispute.state = "won" if won else "lost"
            self.tell(trade, "closed")

    def tell(self, trade: Trade, what: str, made: Returned | None = None) -> Message:
        """A message about a trade, on its way."""
        faces: dict[PartnerKind, StripeFace | AlipayFace | WeChatFace] = {
            "stripe": self._stripe, "alipay": self._alipay, "wechat": self._wechat}
        _, body = faces[trade.kind].message(trade, what, made)
        message = Message(trade.told.webhook, body, self._signer(trade))
        self.delivery.post(message)
        return message

    def _signer(self, trade: Trade) -> Callable[[bytes], tuple[dict[str, str], bytes]]:
        if trade.kind == "alipay":
            return self._alipay.signed
        face = self._stripe if trade.kind == "stripe" else self._wechat
        return lambda body: (face.signed(body), body)

    async def _show(self, request: web.Request) -> web.Response:
        trade = self._trade(request)
        back = request.query.get("redirect_url", "")
        # the shop says where to go back to behind an H5 page's address; to itself alone
        if back.startswith(trade.told.webhook.partition("/pay/")[0] + "/"):
            trade.told = trade.told._replace(back=back)
        return web.Response(text=partner_page.checkout(trade, self.origin),
                            content_type="text/html", headers=partner_page.HEADERS)

    async def _decide(self, request: web.Request) -> web.Response:
        trade = self._trade(request)
        step = (await request.post()).get("step")
        if step == "pay":
            self.pay(trade)
        elif step == "decline" and trade.state == "open":
            trade.state = "failed"
            if trade.kind == "stripe":
                self.tell(trade, "failed")
        back = trade.told.back or f"{self.origin}/page/{trade.session}"
        raise web.HTTPSeeOther(back)

    async def _desk(self, request: web.Request) -> web.Response:
        return web.Response(text=partner_page.desk(self.book.trades.values(), self.origin),
                            content_type="text/html", headers=partner_page.HEADERS)

    async def _step(self, request: web.Request) -> web.Response:
        trade = self._trade(request)
        step = (await request.post()).get("step")
        if step == "refund":
            self.refund(trade)
        elif step == "dispute" and trade.kind == "stripe":
            self.dispute(trade)
        elif step in ("win", "lose"):
            self.close(trade, won=step == "win")
        raise web.HTTPSeeOther("/desk")

    def _trade(self, request: web.Request) -> Trade:
        trade = self.book.get(request.match_info["session"])
        if trade is None:
            raise web.HTTPNotFound
        return trade

    # what the merchant's program asks

    async def _as_stripe(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if not self._stripe.is_merchant(request.headers.get("Authorization", "")):
            return web.json_response({"error": {"code": "unauthorized"}}, status=401)
        if request.method == "POST":
            form = {name: str(value) for name, value in (await request.post()).items()}
            status, said = self._stripe.post(
                path, form, request.headers.get("Idempotency-Key", ""), self.origin)
        else:
            status, said = self._stripe.get(path, request.query)
        return web.Response(status=status, body=orjson.dumps(said), content_type=_JSON)

    async def _as_alipay(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            trade = self._alipay.page(request.query)
            if trade is None:
                raise web.HTTPForbidden
            raise web.HTTPSeeOther(f"{self.origin}/page/{trade.session}")
        form = {name: str(value) for name, value in (await request.post()).items()}
        return web.Response(body=self._alipay.call(form, self.origin), content_type=_JSON)

    async def _alipay_bill(self, request: web.Request) -> web.Response:
        return web.Response(body=self._alipay.bill(request.query["day"]),
                            content_type="application/zip")

    async def _as_wechat(self, request: web.Request) -> web.Response:
        body = await request.read()
        path = "/" + request.match_info["path"]
        target = request.raw_path
        told = request.headers.get("Authorization", "")
        # requests are signed below the base URL, downloads with the whole path
        if not any(self._wechat.is_merchant(request.method, each, body, told)
                   for each in (target.removeprefix("/wechat"), target)):
            return web.json_response({"code": "SIGN_ERROR"}, status=401)
        if path == "/v3/billdownload/file":
            return web.Response(body=self._wechat.bill(request.query["token"]))
        if request.method == "POST":
            status, said = self._wechat.post(path, orjson.loads(body), self.origin)
        else:
            status, said = self._wechat.get(path, request.query, self.origin)
        answer = orjson.dumps(said)
        return web.Response(status=status, body=answer, headers=self._wechat.signed(answer))


def _unheard(name: str, error: BaseException) -> None:
    """A message that could not even be sent is lost, as at any partner."""
