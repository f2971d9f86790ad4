"""What the browser visits: a relay with its console, a provider, a mail server, and people.

Everything is real and on loopback; it runs on an event loop of its own, in a thread, because the
browser is driven from the tests' own thread.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from relayd.app import App
from relayd.console import cookie
from relayd.control import (
    closing, consent, fapiao, fapiao_file, invoice, key, lawful, next_plan, notice, order,
    subscription, ticket, usage,
)
from relayd.control.fapiao import Offer, Wish
from relayd.control.invoice import Seller
from relayd.control.issuer import ByHand
from relayd.control.lawful import Entry
from relayd.control.mail import UNSUBSCRIBE_LABEL
from relayd.control.order import OrderWish
from relayd.control.partner import WEBHOOK_PATH, payments
from relayd.control.ticket import Writing
from relayd.core.actor import ROLES, SHELL, Actor
from relayd.core.call import Place
from relayd.core.consent import REQUIRED
from relayd.core.invoice import before, month, month_text
from relayd.core.key import ApiKey
from relayd.core.mail import unsubscribe_token
from relayd.core.operator import Operator
from relayd.core.plan import Plan
from relayd.core.record import CallRecord
from relayd.core.retention import Terms
from relayd.core.timestamp import DAY_MS, HOUR_MS
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.demo.app import DemoUpstream
from relayd.demo.partner import DemoPartner
from relayd.demo.setup import demo_config
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config, ConsoleConfig, MailConfig, MeteringConfig
from relayd.ops.config_invoices import InvoicesConfig
from relayd.ops.logging import Logger
from relayd.store.secret import derived
from tests.console.people import Person, person
from tests.fakes.daemon import encodings
from tests.fakes.mailserver import MailServer
from tests.fakes.process import free_port
from tests.fakes.records import call_record
from tests.fakes.till import keys as partner_keys

Result = TypeVar("Result")
OPERATOR = Operator(
    name="Example Relay Ltd.", name_zh="示例中继有限公司", address="1 Example Road, Example City",
    contact="contact@example.org", court="Example City")
PLANS = {plan.name: plan for plan in (
    Plan("small", title="Small", title_zh="基础", period="month", fee_nano=10 ** 10,
         allowance_nano=12 * 10 ** 9, currency="CNY", offered=True),
    Plan("large", title="Large", title_zh="旗舰", period="month", fee_nano=2 * 10 ** 10,
         allowance_nano=30 * 10 ** 9, currency="CNY", offered=True))}
MODELS = ("gpt-5.5", "claude-opus-5-5", "gemini-3.8-flash", "gpt-4o-mini")
PATIENCE_SECONDS = 120.0
"""It is furnished once for all tests of a process: on a busy machine all of them would fail."""


class House:
    """`with House(folder) as house`. `holder` has used the relay, `operator` has every role."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._loop.set_debug(False)  # thousands of requests come here; others try it with debug
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._upstream = DemoUpstream(pace_ms=1)
        self._console_port = free_port()
        self.partners = DemoPartner(
            partner_keys(), f"http://127.0.0.1:{self._console_port}{WEBHOOK_PATH}card")
        self.mail = MailServer(folder, "none")
        self.app: App = None  # type: ignore[assignment]
        self.holder: Person = None  # type: ignore[assignment]
        self.operator: Person = None  # type: ignore[assignment]
        self.examples: dict[str, str] = {}
        self.queries: dict[str, str] = {}
        """What pages need behind their path, such as a mailed token."""

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Does something on the relay's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def wait(self, seconds: float) -> None:
        """Lets the relay go on for a while."""
        self.run(asyncio.sleep(seconds))

    def __enter__(self) -> House:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def origin(self) -> str:
        """Where the console is."""
        assert self.app.console is not None
        return f"http://127.0.0.1:{self.app.console.listener.address[1]}"

    async def _open(self) -> None:
        await self._upstream.start()
        await self.partners.start()
        await self.mail.__aenter__()
        self.app = App(self._config(), logger=Logger("error"))
        self.app._encodings = encodings()
        await self.app.start()
        await self._people()

    async def _close(self) -> None:
        await self.app.stop(drain_seconds=0.1)
        await self.mail.__aexit__()
        await self.partners.stop()
        await self._upstream.stop()

    def _config(self) -> Config:
        return replace(
            demo_config(self._folder / "store", 0, 0, self._upstream.port),
            console_listen=f"127.0.0.1:{self._console_port}", payments=self.partners.config(),
            console=ConsoleConfig(registration="open"), operator=OPERATOR,
            mail=MailConfig(host="127.0.0.1", port=self.mail.port, tls="none",
                            sender="Relay <no-reply@example.org>"),
            metering=MeteringConfig(flush_seconds=0.05),
            invoices=InvoicesConfig(vat_rate=600, fapiao="demo", close_hours=24), plans=PLANS)

    async def _people(self) -> None:
        now_ms = unix_ms()
        self.holder = await self.newcomer("holder")
        self.operator = await person(
            self.app.db, now_ms, *ROLES, name="operator", two_factors=True)
        keys = [await self._key(now_ms, name, app)
                for name, app in (("laptop", "editor"), ("server", "shop"))]
        records = used_for_a_month(self.holder.account, keys, now_ms)
        await usage.post(self.app.db, records)
        self.examples = {
            "key": keys[0].id, "account": self.holder.account, "order": await self._paid(now_ms),
            "place": Place(records[-1].started_at_ms, records[-1].id).text()}
        await self._documents(now_ms)
        await self._subscription(now_ms)
        await self._asked(now_ms)
        key_of_links = derived(self.app.db.secret, UNSUBSCRIBE_LABEL)
        self.queries = {"/unsubscribe": "?token=" + unsubscribe_token(
            key_of_links, self.holder.account, "marketing")}

    async def newcomer(self, name: str) -> Person:
        """Somebody without a role, who has agreed to what there is to agree to."""
        now_ms = unix_ms()
        made = await person(self.app.db, now_ms, name=name, two_factors=True)
        await consent.agree(self.app.db, SHELL, made.account, REQUIRED, ("en", "console"), now_ms)
        return made

    async def clerk(self) -> Person:
        """Somebody with every role who signed in just now: pages that want a fresh proof of it
        refuse `operator` once the tests have gone on for a quarter of an hour."""
        return await person(self.app.db, unix_ms(), *ROLES, name=f"clerk-{secrets.token_hex(4)}",
                            two_factors=True)

    async def _paid(self, now_ms: int) -> str:
        """An order of the holder that is paid and credited."""
        ways = payments(self.partners.config(), self.origin)
        made = await order.create(self.app.db, ways, Actor(self.holder.account),
                                  self.holder.account, OrderWish("wechat", 50_00), now_ms)
        trade = self.partners.book.of_order("wechat", made.id)
        assert trade is not None and self.partners.book.pay(trade)
        return (await order.refresh(self.app.db, ways, made, now_ms)).id

    async def _subscription(self, now_ms: int) -> None:
        """One that changes when its period ends."""
        who, by = self.holder.account, Actor(self.holder.account)
        await subscription.subscribe(self.app.db, who, "small", PLANS, now_ms, by)
        await next_plan.schedule(self.app.db, who, "large", PLANS, now_ms, by)
        self.examples["plan"] = "large"

    async def _asked(self, now_ms: int) -> None:
        """What holders, everybody and authorities write."""
        opened = await ticket.open_ticket(self.app.db, Writing(
            "privacy", "What do you keep?", "Tell me.", account=self.holder.account), now_ms)
        shown = await notice.put_up(
            self.app.db, SHELL, "service",
            {"subject_en": "Maintenance", "subject_zh": "维护", "text_en": "On Sunday.",
             "text_zh": "周日。"}, (now_ms, now_ms + DAY_MS), now_ms)
        entered = await lawful.enter(self.app.db, lawful.Hand(SHELL, "a letter", "clerk"), Entry(
            self.holder.account, "court_order", "A court", "12/2026", "0" * 64, ("keys",),
            now_ms - DAY_MS, now_ms, "a letter"), Terms(), now_ms)
        self.examples |= {"ticket": opened.id, "notice": shown.id, "request": entered.id}

    async def _documents(self, now_ms: int) -> None:
        """A receipt for the paid order, a closed month, a fapiao that the bookkeeper issues."""
        seller = Seller(OPERATOR, self._config().invoices.vat)
        who, paid = self.holder.account, self.examples["order"]
        receipt = await invoice.receipt_of(self.app.db, seller, who, paid, now_ms)
        applied = await fapiao.apply(self.app.db, Actor(who), who, Wish((paid,), title="王小明"),
                                     Offer(seller, 360), now_ms)
        await fapiao.take(self.app.db, SHELL, applied.id, now_ms)
        await fapiao_file.send(self.app.db, SHELL, ByHand(), applied.id, seller, now_ms)
        last = before(month(month_text(now_ms - HOUR_MS)))
        await closing.close(self.app.db, SHELL, seller, month_text(last.start_ms), now_ms)
        self.examples |= {"invoice": receipt.id, "fapiao": applied.id}

    async def _key(self, now_ms: int, name: str, app: str) -> ApiKey:
        wish = key.KeyWish(name, app, ("gpt-*", "claude-*") if app == "shop" else None)
        return (await key.create(self.app.db, self.holder.account, wish, now_ms)).key

    def cookies(self, who: Person) -> list[dict[str, Any]]:
        """What a browser of theirs has."""
        return [{"name": cookie.SESSION.name, "value": who.token, "url": self.origin,
                 "httpOnly": True, "sameSite": "Lax"}]


def used_for_a_month(account: str, keys: list[ApiKey], now_ms: int) -> list[CallRecord]:
    """Calls of 30 days, more on some days than on others, a few of which failed."""
    found = []
    for n in range(1500):
        at_ms = now_ms - (n * n % 719) * HOUR_MS - n * 1000
        mine = keys[n % 7 == 0]
        model = MODELS[n * n % 4]
        found.append(call_record(
            id=ulid(at_ms, secrets.token_bytes(RANDOM_BYTES)), started_at_ms=at_ms,
            account=account, key=mine.id, app=mine.app, model=model, provider_model=model,
            provider="demo-openai", amount_nano=(n % 90) * 1_000_000, input_tokens=500 + n,
            output_tokens=120 + n % 400, first_byte_ms=180.0 + n % 300,
            duration_ms=900.0 + n % 4000, **_ending(n)))
    return found


def _ending(n: int) -> dict[str, Any]:
    if n % 53 == 0:
        return {"outcome": "provider_error", "error": "upstream_timeout", "status": 504}
    if n % 31 == 0:
        return {"outcome": "client_left"}
    return {"outcome": "completed"}
