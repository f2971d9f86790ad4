"""The composition root: builds every object once, and owns the order of start and stop.

Start: lock, store, what an earlier journal has, journal, policy, data plane, jobs, listeners.
Stop: readiness off, no new connections, running exchanges to a deadline, flush, journal, store.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from relayd import __version__, app_jobs
from relayd.app_jobs import Job
from relayd.console.listener import ConsoleListener
from relayd.console.opening import Opening
from relayd.control import keyring, publish, tombstone
from relayd.control.recovery import Recovered, recover
from relayd.control.subscription import plans_of
from relayd.core.columns import Columns
from relayd.core.plan import Tariff
from relayd.core.ulid import Ulids
from relayd.jobs.budget import Budgets
from relayd.jobs.flush import Flush
from relayd.jobs.wallet import Wallets
from relayd.jobs.watch import Watch
from relayd.ops.accesslog import AccessLog
from relayd.ops.certificate import ends_at_seconds
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.config import Config, LogConfig, adoptable
from relayd.ops.journald import Journald
from relayd.ops.listener import OpsListener
from relayd.ops.logging import Logger
from relayd.ops.metrics import Gauges, Metrics
from relayd.ops.metrics_gc import GcWatch
from relayd.ops.metrics_loop import LoopLag
from relayd.ops.tasks import Tasks
from relayd.relay.counting import Counting
from relayd.relay.doors import Doors
from relayd.relay.gauges import fill
from relayd.relay.health import Prober
from relayd.relay.inflight import Sweep
from relayd.relay.meter import Meter
from relayd.relay.plane import Parts, Plane
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings
from relayd.relay.view import View
from relayd.store.db import Database, is_lost, is_new, open_database
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import Lane, Lock, claim, lock_store
from relayd.store.secret import pepper

COUNT_THREADS: Final = 1
DRAIN_POLL_SECONDS: Final = 0.02
SETTLE_SECONDS: Final = 10.0
"""How long the end of a drain waits for counts that a thread still works on."""
HANGS_SECONDS: Final = 120.0
"""A thread of the journal or the store that is at one thing for so long will not come back."""
VITAL: Final = frozenset({"flush", "journal"})
"""Tasks without which calls are relayed that are never stored."""
ENCODINGS: Final = ("o200k_base", "cl100k_base")


class App:
    """One relay process. `start()`, then `stop()`; a stopped app is not started again.

    `unsaved` is True where it was stopped and records of calls are not sure to be found again.
    """

    def __init__(self, config: Config, *, logger: Logger | None = None,
                 systemd_sockets: int = 0, memory_wiped: bool = False) -> None:
        self.config = config
        self._memory_wiped = memory_wiped
        self.logger = logger or Logger(config.log_level)
        self._access = AccessLog(self.logger)
        self.view = View()
        self.metrics = Metrics(config.providers.values(), config.routes, version=__version__)
        self._systemd_sockets = systemd_sockets
        self._tasks = Tasks(self.logger.fault)
        self._encodings = Encodings()
        self._executor = ThreadPoolExecutor(COUNT_THREADS, "count")
        self._reader = ThreadPoolExecutor(COUNT_THREADS, "count_bodies")
        self._lag = LoopLag()
        self._collector = GcWatch()
        self._lock: Lock | None = None
        self._lanes: list[Lane] = []
        self._db: Database | None = None
        self._recovered = Recovered()
        self._journal: JournalWriter | None = None
        self._flush: Flush | None = None
        self._watch: Watch | None = None
        self._jobs: dict[str, Job] = {}
        self.console: Opening[ConsoleListener] | None = None
        self._made_tariff: Tariff | None = None
        self._plane: Plane | None = None
        self._doors: Doors | None = None
        self._ops = OpsListener(
            config.ops_listen, self.metrics, self._readiness, __version__)
        self._stopping = False
        self.unsaved = False
        self.hurry: Callable[[], bool] = _never

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the public listener."""
        assert self._doors is not None
        return self._doors.address

    @property
    def ops_address(self) -> tuple[str, int]:
        """(host, port) of the ops listener."""
        return self._ops.address

    @property
    def db(self) -> Database:
        """The open store."""
        assert self._db is not None
        return self._db

    async def refresh(self) -> None:
        """Takes changes of accounts and keys at once, where the watch would within a second."""
        assert self._watch is not None
        await self._watch.look()

    def reload(self, config: Config) -> tuple[str, ...]:
        """Takes a new configuration for all that starts from now on; no live stream notices.

        Returns the parts that a running process cannot change, which stay as they are. Raises
        OSError or ValueError where a certificate cannot be used; then nothing has changed.
        """
        assert self._plane is not None and self._doors is not None
        adopted, fixed = adoptable(self.config, config)
        take_certificate = self._doors.renewed(adopted.server.tls)
        self._plane.adopt(adopted)
        take_certificate()
        self._plane.counting.adopt(adopted.metering)
        self.metrics.know(adopted.providers.values(), adopted.routes)
        self.logger.set_level(adopted.log_level)
        self._set_log(adopted.log)
        self.config = adopted
        return fixed

    async def start(self) -> None:
        """Opens the store and the listeners; raises what keeps them from opening."""
        began = monotonic()
        self._set_log(self.config.log)
        store = self.config.store
        self._lock = lock_store(Path(store.path), shared=store.shared)
        new, lost = is_new(Path(store.path)), is_lost(Path(store.path))
        db = self._db = await open_database(Path(store.path), master=store.master_key)
        if lost:
            self.logger.warning("store_made_anew")
        elif new:
            self.logger.event("store_made")
        # of those whom a restore brought back that was killed before its end
        await tombstone.reapply(db, self.config.retention.terms(), unix_ms())
        await keyring.tell(db, unix_ms())
        journal = await self._begin_journal(db, began)
        meter = Meter(journal)
        snapshot = await publish.load(db)
        self.view.publish(snapshot)
        plane = self._plane = Plane(self.config, self._parts(db, meter))
        self._flush = Flush(db, meter, journal, self._lanes[0].number,
                            flush_seconds=self.config.metering.flush_seconds,
                            prices=self._tariff,
                            tell=self._stored, log=self.logger)
        self._watch = Watch(db, self.view.publish, snapshot, log=self.logger)
        self._jobs["watch"] = self._watch
        self._jobs["budgets"] = await self._begin_budgets(db, plane)
        self._jobs["wallets"] = await self._begin_wallets(db, plane)
        self._jobs |= app_jobs.jobs(db, plane, lambda: self.config, self.logger)
        self._fill_gauges(plane, meter, journal)
        server = self.config.server
        await self._load_encodings()
        self._doors = Doors(plane, server, self._systemd_sockets)
        await self._doors.open()
        self._collector.start()
        self.console = self._jobs["console"] = app_jobs.console(
            db, plane, lambda: self.config, self.logger, app_jobs.Ties(
                self.metrics.gauges, lambda: self.address, self._watch.poke))
        await app_jobs.publish(self._jobs)
        await self.console.open()
        self._tasks.spawn("flush", self._flush.run())
        for name, job in self._jobs.items():
            self._tasks.spawn(name, job.run())
        self._tasks.spawn("sweep", Sweep(plane).run())
        self._tasks.spawn("probes", Prober(plane).run())
        self._tasks.spawn("loop lag", self._lag.run())
        # last: whoever asks it whether relayd is ready may do anything then
        await self._ops.start()
        self.logger.event("started", port=self._doors.port, version=__version__,
                          seconds=round(monotonic() - began, 3))

    def _set_log(self, config: LogConfig) -> None:
        self.logger.to_journal(Journald() if config.format == "journald" else None)
        self._access.adopt(config)

    def _stored(self, part: Columns) -> None:
        """What has become of calls is told once they are in the store."""
        self.metrics.fold()
        self.metrics.posted.posted(part)
        self._access.posted(part.records)

    async def _begin_journal(self, db: Database, began: float) -> JournalWriter:
        """Takes a lane, and brings what daemons that are gone left in theirs to the store."""
        self._lanes = claim(db.directory)
        found, numbers = await recover(db, self._lanes, await self._first_tariff(db))
        self._recovered = found
        for call_id in found.refused:
            self.logger.error("record_refused", request_id=call_id)
        if found.files:
            tell = self.logger.warning if found.torn_bytes else self.logger.event
            tell("recovered", files=found.files, replayed=found.replayed,
                 interrupted=found.interrupted, torn_bytes=found.torn_bytes,
                 refused=len(found.refused), seconds=round(monotonic() - began, 3))
        own = self._lanes[0]
        for lane in self._lanes[1:]:
            lane.release()
        journal = self._journal = JournalWriter(
            own.directory, number=numbers[own.number], sync_ms=self.config.metering.sync_ms,
            bytes_max=self.config.store.journal_bytes_max, log=self.logger)
        await journal.start()
        self._tasks.spawn("journal", journal.run())
        return journal

    async def _begin_budgets(self, db: Database, plane: Plane) -> Budgets:
        """What was spent must be known before the first call, and after the journal's replay."""
        admission = plane.admission
        admission.rated = lambda record: self._tariff().rated(record)
        budgets = Budgets(
            db, lambda: plane.policy.limits is not None and plane.policy.limits.has_budgets,
            lambda most: admission.due(
                most, self.view.take_budgeted(), plane.policy.limits),
            admission.unposted, admission.install, log=self.logger)
        await budgets.begin()
        return budgets

    async def _begin_wallets(self, db: Database, plane: Plane) -> Wallets:
        """Balances, too, must be known before the first call."""
        plane.wallets.tariff = self._tariff
        wallets = Wallets(db, plane.wallets.unposted, plane.wallets.install, log=self.logger)
        await wallets.begin()
        return wallets

    async def _first_tariff(self, db: Database) -> Tariff:
        """Before the policy is there: what an earlier daemon's calls cost."""
        return Tariff(self.config.prices, self.config.plans, await plans_of(db))

    def _tariff(self) -> Tariff:
        """What calls cost whom, by the present configuration and policy."""
        config, of_account = self.config, self.view.current.plans
        made = self._made_tariff
        if (made is None or made.book is not config.prices or made.plans is not config.plans
                or made.of_account is not of_account):
            made = self._made_tariff = Tariff(config.prices, config.plans, of_account)
        return made

    def _parts(self, db: Database, meter: Meter) -> Parts:
        return Parts(
            view=self.view, meter=meter, metrics=self.metrics, logger=self.logger,
            tasks=self._tasks,
            counting=Counting(self.config.metering, self._encodings, self._executor,
                              PromptMemo(secrets.token_bytes(32)), self._reader),
            pepper=pepper(db.secret),
            pseudonym_secret=partial(keyring.pseudonym_secret, db.keyring),
            boundary="relayd" + secrets.token_hex(16),
            new_id=Ulids(secrets.token_bytes).__call__, dice=random.random,
        )

    def _fill_gauges(self, plane: Plane, meter: Meter, journal: JournalWriter) -> None:
        flush, lag, collector = self._flush, self._lag, self._collector
        assert flush is not None
        gauges = Gauges(
            ready=lambda: self._readiness()[0],
            draining=lambda: self._stopping,
            unflushed_records=lambda: len(meter),
            oldest_unflushed_seconds=flush.oldest_seconds,
            posted_records=lambda: flush.posted,
            lost_records=lambda: flush.refused,
            flush_failures=lambda: flush.failures,
            store_wait_seconds=flush.waited_seconds,
            store_bytes=self.db.sizes,
            journal_bytes=lambda: journal.bytes,
            journal_segments=lambda: journal.segments,
            journal_pending_records=lambda: len(journal.pending),
            journal_sync_failures=lambda: journal.sync_failures,
            journal_torn_bytes=lambda: self._recovered.torn_bytes,
            journal_wait_seconds=journal.waited_seconds,
            log_lines_lost=lambda: self.logger.lost_lines,
            memory_wiped=lambda: self._memory_wiped,
            loop_lag_seconds=lag.worst_seconds,
            gc_collections=collector.runs,
            gc_pause_seconds=collector.seconds,
            gc_pause_worst_seconds=collector.worst_seconds,
            certificate_expiry=self._certificates,
        )
        fill(gauges, plane)
        app_jobs.measure(gauges, self._jobs)
        self.metrics.gauges = gauges

    def _certificates(self) -> dict[str, float]:
        """When the public listener's certificate ends, as its file is now."""
        tls = self.config.server.tls
        ends = None if tls is None else ends_at_seconds(tls.certificate)
        return {} if ends is None else {"public": ends}

    async def _load_encodings(self) -> None:
        """Loads the tokenizer files; before anything is served: the library holds the GIL for it.

        Beside calls it would stop them, and the journal's syncs, for 0.2 to 0.5 s.
        """
        loop = asyncio.get_running_loop()
        try:
            for name in ENCODINGS:
                await loop.run_in_executor(self._executor, self._encodings.load, (name,))
        except (OSError, ValueError, LookupError) as error:  # counts are estimates without it
            self.logger.fault("encodings", error)

    def alive(self) -> bool:
        """False where only a restart helps: what must go on has ended, or hangs.

        That the loop turns is shown by the question. A disk that fails is no reason: /readyz says
        so, and calls that are under way go on.
        """
        parts = (self._journal, self._flush)
        waited = max(0.0 if part is None else part.waited_seconds() for part in parts)
        return waited < HANGS_SECONDS and self._tasks.failed.isdisjoint(VITAL)

    def _readiness(self) -> tuple[bool, str]:
        if self._stopping:
            return False, "draining"
        if self._flush is None or not self._flush.healthy:
            return False, "store"
        if self._journal is None or not self._journal.healthy:
            return False, "journal"
        return True, "ok"

    async def stop(self, *, drain_seconds: float | None = None) -> None:
        """Drains, flushes and closes. Every exchange that passed authentication has its record,
        or the last line of the log says that the disk took none."""
        self._stopping = True
        if self._doors is not None:
            await self._doors.close()
        if self._plane is not None:
            await self._drain(self._plane, drain_seconds)
        told = await self._close_store()
        await self._ops.stop()
        await self._tasks.close()
        self._collector.stop()
        for executor in (self._executor, self._reader):
            executor.shutdown(wait=True, cancel_futures=True)
        if self._db is not None:
            await self._db.close()
        for held in (*self._lanes, self._lock):
            if held is not None:
                held.release()
        told()
        self.logger.to_journal(None)

    async def _drain(self, plane: Plane, drain_seconds: float | None) -> None:
        plane.drain()
        patience = self.config.server.drain_seconds if drain_seconds is None else drain_seconds
        started = monotonic()
        leave_seconds = min(self.config.server.leave_seconds, patience)
        while (plane.connections or plane.handshakes or not plane.idle) and not self.hurry():
            waited = monotonic() - started
            plane.leave(leave_seconds)
            if waited >= patience or plane.quiet:
                break
            await asyncio.sleep(DRAIN_POLL_SECONDS)
        plane.interrupt()
        await asyncio.sleep(DRAIN_POLL_SECONDS)  # what was said last goes out
        plane.close()
        deadline = monotonic() + SETTLE_SECONDS
        while not plane.idle and monotonic() < deadline:
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    async def _close_store(self) -> Callable[[], None]:
        """Brings what there is to the store; what says last how that went."""
        for job in self._jobs.values():
            await job.stop()
        stored = self._flush is None or await self._flush.stop()
        journal = self._journal
        if journal is None or await journal.stop(stored=stored):
            return partial(self.logger.event, "stopped")
        self.unsaved = True
        if journal.pending:
            return partial(self.logger.error, "records_lost", lost=len(journal.pending))
        return partial(self.logger.error, "records_doubtful")


def _never() -> bool:
    """The answer to `hurry` until somebody is in a hurry."""
    return False
