"""Every job of the process runs, and the console answers beside the relay."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import cast

import aiohttp

from relayd.control import abuse, account, closing, invoice, usage
from relayd.core.abuse import AbuseRules
from relayd.core.invoice import months_due
from relayd.core.operator import Operator
from relayd.core.timestamp import HOUR_MS
from relayd.jobs.abuse import Abuse
from relayd.jobs.assessment import Assessments
from relayd.jobs.closing import Months
from relayd.jobs.erasure import Erasures
from relayd.jobs.mail import Postman
from relayd.jobs.network import Network
from relayd.jobs.payment import PaymentJob
from relayd.jobs.retention import Retention
from relayd.ops.clock import unix_ms
from relayd.ops.config_invoices import InvoicesConfig
from relayd.store.db import open_database
from relayd.store.invoice import InvoiceFilter
from relayd.store.retention import Swept
from tests.console.people import person
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.records import call_record
from tests.http.play import BODY, TARGET


async def test_the_console_answers_beside_the_relay(relay: Lane) -> None:
    console = relay.app.console
    assert console is not None and console.opened.is_set()
    host, port = console.listener.address
    async with aiohttp.ClientSession() as http:
        found = await (await http.get(f"http://{host}:{port}/api/v1/openapi.json")).json()
    assert found["openapi"] == "3.1.0"


async def test_what_an_alert_counts_is_there_before_the_first_one(relay: Lane) -> None:
    page = relay.app.metrics.render().decode()
    assert 'relayd_payment_messages_total{outcome="webhook_forged"} 0' in page.splitlines()


async def test_the_metrics_say_what_the_jobs_have_done(relay: Lane) -> None:
    jobs = relay.app._jobs
    await cast(Assessments, jobs["assessments"]).look()
    cast(Retention, jobs["retention"]).noted = {"sessions": Swept(2_000, 3, 4)}
    cast(Erasures, jobs["erasures"]).overdue = {"question": 5}
    postman = cast(Postman, jobs["mail"])
    postman.waiting, postman.outcomes = 6, Counter(sent=7)
    payments, months = cast(PaymentJob, jobs["payments"]), cast(Months, jobs["months"])
    payments.alarms, payments.failures = 8, 9
    months.overdue, months.failures = 10, 11
    page = relay.app.metrics.render().decode()  # before any of them looks again
    assert set(page.splitlines()) >= {
        'relayd_retention_swept_timestamp_seconds{category="sessions"} 2',
        'relayd_retention_swept_rows_total{category="sessions"} 4',
        'relayd_tickets_overdue{class="question"} 5', "relayd_mails_waiting 6",
        'relayd_mails_total{result="sent"} 7', "relayd_payment_alarms 8",
        "relayd_payment_failures_total 9", "relayd_months_overdue 10",
        "relayd_closing_failures_total 11"}
    assert "relayd_assessment_timestamp_seconds 0\n" not in page
    assert "relayd_assessment_timestamp_seconds " in page


async def test_every_job_goes_on(relay: Lane) -> None:
    assert {"watch", "budgets", "retention", "audit", "network", "abuse", "months"} <= set(
        relay.app._jobs)
    assert relay.app._tasks.failed == set()


async def test_U6_a_key_that_many_share_is_found_by_the_running_relay(tmp_path: Path) -> None:
    """From the relay's network records, through the day's pseudonyms, to a suspended account."""
    rules = AbuseRules(key_networks=1, disposable_mail="allow", suspend=("key_sharing",))
    async with Lane(tmp_path / "store", abuse=rules) as lane:
        raw = request_bytes(TARGET, lane.key, BODY)
        assert (await ask(lane.address, raw)).status == 200
        await cast(Network, lane.app._jobs["network"]).flush()
        await cast(Abuse, lane.app._jobs["abuse"]).look()
        [finding] = await abuse.listing(lane.app.db)
        assert (finding.rule, finding.figure, finding.suspended) == ("key_sharing", 1, True)
        await lane.app.refresh()
        assert (await ask(lane.address, raw)).status == 403


async def test_a_key_that_the_console_makes_works_at_once(relay: Lane) -> None:
    """Not within the second after which the policy is looked at."""
    app = relay.app
    assert app._watch is not None and app.console is not None
    app._watch._watch_seconds = 60.0
    await asyncio.sleep(1.1)  # what was being waited for already is over
    ann = await person(app.db, unix_ms(), "support", two_factors=True)
    host, port = app.console.listener.address
    async with aiohttp.ClientSession(headers=ann.bearer) as http:
        made = await http.post(f"http://{host}:{port}/api/v1/keys", json={"name": "x"})
        assert made.status == 201
        async with asyncio.timeout(5):
            while not any(g.account == ann.account for g in app.view.current.keys.values()):
                await asyncio.sleep(0.01)


async def test_a_month_is_closed_by_the_running_relay(tmp_path: Path) -> None:
    """And the metrics say that nothing is overdue."""
    last = months_due((), unix_ms(), HOUR_MS)[0]
    store = await open_database(tmp_path / "store")
    who = (await account.create(store, "bea@example.org", None, last.start_ms)).id
    await usage.post(store, [call_record(
        account=who, started_at_ms=last.start_ms + 1, amount_nano=1_500_000_000)])
    await store.close()
    async with Lane(tmp_path / "store", invoices=InvoicesConfig(close_hours=1),
                    operator=Operator(name="Example Ltd")) as lane:
        async with asyncio.timeout(10):
            while "month_closed" not in lane.log.getvalue():
                await asyncio.sleep(0.01)
        assert [each.closed_ms is not None for each in await closing.months(lane.app.db)] == [True]
        [made] = await invoice.listing(lane.app.db, InvoiceFilter(who))
        assert (made.kind, made.taxed.total, made.period) == ("use", 150, last)
        page = lane.app.metrics.render().decode()
        assert "relayd_months_overdue 0" in page and "relayd_closing_failures_total 0" in page
