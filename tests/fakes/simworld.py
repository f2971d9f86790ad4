"""A relay in a simulated world: the real data plane and journal, all else of one seed.

`World(seed, directory).run()` gives what went against the promises; nothing where all is well.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from unittest.mock import patch

from relayd.core.key import digest, mint
from relayd.core.plan import Tariff
from relayd.core.price import Price, PriceBook, UnitPrices
from relayd.core.provider import CLIENT_CLOSES, Address, Api, DataTerms, Provider, Timeouts
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.core.ulid import Ulids
from relayd.ops import clock as real_clock
from relayd.ops.config import (
    BillingConfig, Config, LimitsConfig, MeteringConfig, ServerConfig,
)
from relayd.ops.logging import Logger
from relayd.ops.metrics import Metrics
from relayd.ops.tasks import Tasks
from relayd.relay import listener, upstream
from relayd.relay.counting import Counting
from relayd.relay.exchange import Exchange
from relayd.relay.health import Prober
from relayd.relay.inflight import Sweep
from relayd.relay.listener import ClientConnection
from relayd.relay.meter import Meter
from relayd.relay.plane import Parts, Plane
from relayd.relay.pool import Pool
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings
from relayd.relay.upstream import UpstreamConnection
from relayd.relay.view import View
from relayd.store import journal_segment
from relayd.store.journal import JournalWriter
from relayd.store.journal_replay import Replay
from tests.fakes import simcheck
from tests.fakes.simclient import Call, Client, request
from tests.fakes.simnet import Clock, SimLoop, SimTransport, connect
from tests.fakes.simprovider import Providers

APIS: tuple[Api, ...] = ("openai", "openai", "openai", "anthropic", "gemini")
PEPPER = b"p" * 32
QUIET_SECONDS = 120.0
TIMES = {"monotonic": time.monotonic, "monotonic_ns": time.monotonic_ns,
         "unix_ms": real_clock.unix_ms}


class World:
    """One run. `clients`, `providers` and `records` are what became of it."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.seed = seed
        self.dice = dice = Random(seed)
        self.clock = Clock()
        self.loop = SimLoop(self.clock, dice)
        self.directory = directory
        self.log = io.StringIO()
        self.providers = Providers(self.clock, dice, dice.choice((0.0, 0.2, 0.6)))
        self.unreachable = dice.choice((0.0, 0.0, 0.1, 0.5))
        self.clients: list[Client] = []
        self.records: list[CallRecord] = []
        self.faults: list[str] = []
        self.drained = self.crashed = False
        self.held: dict[str, tuple[int, CallRecord]] = {}
        self.config = settings(dice)
        self._peers: set[asyncio.Task[None]] = set()
        self._applied = 0
        self._makes_clients()

    def _makes_clients(self) -> None:
        dice, number = self.dice, 0
        for n in range(dice.randint(1, 6)):
            client = Client(n, mint(dice.randbytes(32)), dice, self.clock, [])
            for _ in range(dice.randint(1, 4)):
                number += 1
                call = Call(b"tag%dz" % number, dice.choice(APIS), dice.random() < 0.6,
                            dice.random() < 0.5, dice.choice((1, 3, 3, 60)), n)
                if call.api == "openai" and dice.random() < 0.2:
                    call.upload, call.stream = True, False
                call.raw = request(call, client.secret, client.key, dice)
                self.providers.asks[call.tag] = call
                client.calls.append(call)
            self.clients.append(client)

    @property
    def calls(self) -> list[Call]:
        return [call for client in self.clients for call in client.calls]

    def run(self) -> list[str]:
        """Runs it to its end, and looks at all that it left."""
        with faked(self):
            asyncio.set_event_loop(None)
            try:
                self.loop.run_until_complete(self._live())
            finally:
                self.loop.close()
        self.faults += self.loop.faults
        self.faults += simcheck.check(self)
        return [f"seed {self.seed}: {fault}" for fault in self.faults]

    # -- the run --------------------------------------------------------------------------

    async def _live(self) -> None:
        logger = Logger("debug", self.log)
        self._tasks = tasks = Tasks(logger.fault)
        lane = self.directory / "lane"
        lane.mkdir(parents=True)
        self.journal = JournalWriter(lane, sync_ms=self.config.metering.sync_ms,
                                     segment_bytes=1 << 14, log=logger)
        await self.journal.start()
        self.plane = plane = Plane(self.config, self._parts(logger))
        plane.wallets.tariff = lambda: Tariff(self.config.prices)
        plane.wallets.install(
            [(f"acct{n}", "USD", self.dice.choice((10**12, 10**12, 2 * 10**6, 0)), 0)
             for n in range(len(self.clients))], ())
        self._watch_money()
        self.view.publish(self._snapshot(1, range(len(self.clients))))
        tasks.spawn("journal", self.journal.run())
        tasks.spawn("sweep", Sweep(plane).run())
        tasks.spawn("probes", Prober(plane, plane.now).run())
        tasks.spawn("flush", self._flush())
        await self._play()
        await self._end()

    def _parts(self, logger: Logger) -> Parts:
        dice, config = self.dice, self.config
        self.view, self.meter = View(), Meter(self.journal)
        executor: object = None
        return Parts(
            view=self.view, meter=self.meter, metrics=Metrics(
                config.providers.values(), config.routes), logger=logger, tasks=self._tasks,
            counting=Counting(config.metering, Encodings(), executor,  # type: ignore[arg-type]
                              PromptMemo(b"m" * 32)),
            pepper=PEPPER, pseudonym_secret=lambda _: b"s" * 32, boundary="bound",
            new_id=Ulids(dice.randbytes).__call__, dice=dice.random)

    def _watch_money(self) -> None:
        wallets, settle = self.plane.wallets, self.plane.wallets.settle

        def watched(exchange: Exchange, record: CallRecord) -> CallRecord:
            made = settle(exchange, record)
            if exchange.hold is not None:
                self.held[record.id] = exchange.hold.nano, made
            return made

        wallets.settle = watched  # type: ignore[method-assign]

    def _snapshot(self, version: int, clients: range) -> Snapshot:
        return Snapshot(version, {
            digest(PEPPER, self.clients[n].key.encode()): KeyGrant(
                f"key{n}", f"acct{n}", None, None, None, False) for n in clients})

    async def _play(self) -> None:
        dice = self.dice
        playing = [asyncio.ensure_future(self._client(client)) for client in self.clients]
        if dice.random() < 0.3:
            self.loop.call_later(dice.random() * 10, self._reload)
        if dice.random() < 0.15:
            self.loop.call_later(dice.random() * 10, self._drain)
        if dice.random() < 0.25:
            self.loop.call_later(dice.random() ** 2 * 10, self._crash, playing)
        await asyncio.gather(*playing, return_exceptions=True)

    async def _client(self, client: Client) -> None:
        await asyncio.sleep(self.dice.random() ** 2 * 6)
        name = f"10.9.0.{client.number}", 4000 + client.number
        transport, peer = connect(self.loop, self.dice, name)
        origin = self.plane.addresses.enter(name, 0, ())
        assert origin is not None
        transport.begin(ClientConnection(self.plane, False, origin))
        await client.run(peer)

    async def reach(self, pool: Pool) -> tuple[SimTransport, UpstreamConnection]:
        """Stands for the way to a provider."""
        dice = self.dice
        await asyncio.sleep(dice.random() ** 3 * 0.2)
        if dice.random() < self.unreachable:
            if dice.random() < 0.5:
                raise ConnectionRefusedError
            await asyncio.sleep(dice.random() * 10)
        transport, peer = connect(self.loop, dice, ("192.0.2.1", 443))
        protocol = pool._make()
        transport.begin(protocol)
        task = asyncio.ensure_future(self.providers.serve(pool.provider.name, peer))
        self._peers.add(task)
        task.add_done_callback(self._peers.discard)
        return transport, protocol

    def _reload(self) -> None:
        dice = self.dice
        providers = dict(self.config.providers)
        name = dice.choice(list(providers))
        providers[name] = replace(providers[name], credentials=("sk-other",))
        routes = tuple(replace(route, hedge_ms=dice.choice((0, 200))) for route in
                       self.config.routes)
        self.plane.adopt(replace(self.config, providers=providers, routes=routes))
        self.view.publish(self._snapshot(2, range(dice.randint(0, 1), len(self.clients))))

    def _drain(self) -> None:
        self.drained = True
        self.plane.drain()
        self.loop.call_later(2, self.plane.leave)
        self.loop.call_later(self.dice.random() * 5, self.plane.interrupt)

    def _crash(self, playing: list[asyncio.Task[None]]) -> None:
        """What the disk has of this moment is all that stays."""
        self.crashed = True
        shutil.copytree(self.directory / "lane", self.directory / "crashed")
        self._applied_then = self._applied
        self._stored_then = list(self.records)
        self._seen_then = [seen.tag for seen in self.providers.seen if seen.body_came]
        for each in playing:
            each.cancel()

    async def _flush(self) -> None:
        """Takes records as the store does, and lets the journal forget them."""
        while True:
            await asyncio.sleep(self.dice.random() * 2)
            self._take()

    def _take(self) -> None:
        records, self._applied = self.meter.take()
        self.records += records
        self.journal.applied(self._applied)

    async def _end(self) -> None:
        plane = self.plane
        if not self.crashed:
            await asyncio.sleep(QUIET_SECONDS)
            self.faults += simcheck.at_rest(self)
        plane.interrupt()
        plane.close()
        await asyncio.sleep(1)
        for task in list(self._peers):
            task.cancel()
        self._take()
        await self._tasks.close()
        self.faults += [f"task {name} failed" for name in self._tasks.failed]
        if not await self.journal.stop(stored=True):
            self.faults.append("the journal lacks records")
        plane.meter.take()

    def recovered(self) -> list[CallRecord]:
        """What a start after the crash would find: stored records, and the journal's."""
        replay = Replay(journal_segment.paths(self.directory / "crashed"), self._applied_then)
        found = [record for batch in replay.batches() for record in batch.records]
        return [*self._stored_then, *found, *replay.interrupted()]

    def torn(self) -> list[CallRecord]:
        """The same where the last file was cut at any byte."""
        paths = journal_segment.paths(self.directory / "crashed")
        with paths[-1].open("r+b") as file:
            file.truncate(self.dice.randrange(max(1, 2 * self.journal.bytes)))
        return self.recovered()


def settings(dice: Random) -> Config:
    """A configuration: several deployments of each API, or one of each, with all that routes do.
    """
    count = dice.choice((1, 2, 3))
    providers, deployments = {}, []
    for api in sorted(set(APIS)):
        for n in range(count):
            name = f"{api}{n}"
            providers[name] = Provider(
                name, api, Address("http", "192.0.2.1", 443, ""),
                (f"sk-{name}",), on_client_close=dice.choice(CLIENT_CLOSES),
                connections_max=dice.choice((2, 1024)),
                timeouts=Timeouts(1.0, 5.0, 5.0, dice.choice((0.0, 0.0, 6.0))),
                probe_seconds=dice.choice((0.0, 0.0, 2.0)), terms=DataTerms("no"))
            deployments.append(Deployment(
                name, priority=dice.randint(1, 2), concurrent=dice.choice((0, 0, 0, 1)),
                queue=dice.choice((0, 2)), queue_seconds=1.0))
    route = Route(
        "tag*", tuple(deployments), strategy=dice.choice(("weighted", "least-latency")),
        sticky=dice.random() < 0.3, retries=dice.choice((0, 1, 2)),
        fallback=dice.choice(((), ("other",))), hedge_ms=dice.choice((0, 0, 50, 500)))
    server = ServerConfig(
        header_seconds=10.0, body_seconds=20.0, idle_seconds=30.0,
        heartbeat_seconds=dice.choice((0.0, 0.0, 1.0)),
        write_buffer_bytes=dice.choice((1_000, 65_536)),
        pending_bytes_max=dice.choice((100_000, 1 << 30)), calls_max=dice.choice((3, 10_000)),
        client_drain_seconds=5.0, client_drains_max=dice.choice((1, 100)))
    return Config(
        providers, (route, Route("other", tuple(deployments))), server,
        metering=MeteringConfig(sync_ms=dice.choice((0, 50, 50)),
                                mode=dice.choice(("inline", "audit"))),
        limits=LimitsConfig(concurrent=dice.choice((0, 0, 1, 2)),
                            tokens_per_minute=dice.choice((0, 0, 50_000))),
        billing=BillingConfig(prepaid=dice.random() < 0.5),
        prices=PriceBook([Price("*", UnitPrices(10**9, 2 * 10**9))]))


@contextmanager
def faked(world: World) -> Iterator[None]:
    """The relay's clock, its ways to providers, and its looks at sockets are the world's."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("relayd."):
                for word, real in TIMES.items():
                    if getattr(module, word, None) is real:
                        stack.enter_context(patch.object(module, word,
                                                         getattr(world.clock, word)))
        phase = world.dice.randrange(250)  # of the relay's jobs, which differs by process
        stack.enter_context(patch("os.getpid", lambda: phase))
        stack.enter_context(patch.object(Pool, "_reach", lambda pool: world.reach(pool)))
        for module in (listener, upstream):
            stack.enter_context(patch.object(module, "polled", SimTransport.polled))
        stack.enter_context(patch.object(upstream, "unheard", lambda transport: False))
        yield
