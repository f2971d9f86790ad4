"""Alerts are woken by what they are for: a relay that is well, then everything goes wrong.

Real metrics of a real relay, judged by Prometheus' own rules. Needs promtool.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from relayd import daemon
from relayd.control import account, ticket, usage
from relayd.control.calendar import always
from relayd.control.partner import WEBHOOK_PATH
from relayd.control.ticket import Writing
from relayd.core.route import Deployment, Route
from relayd.core.timestamp import HOUR_MS
from relayd.demo.partner import DemoPartner
from relayd.demo.partner_keys import make_keys
from relayd.jobs.assessment import Assessments
from relayd.jobs.closing import Months
from relayd.jobs.erasure import Erasures
from relayd.jobs.retention import Retention
from relayd.ops.clock import unix_ms
from relayd.ops.config_invoices import InvoicesConfig
from relayd.ops.configfile import Reading
from relayd.ops.configfile_fault import Fault
from relayd.store import canary
from relayd.store.directory import StoreError
from tests.e2e.test_prometheus import ALERTS, run, tool
from tests.fakes.daemon import Lane, plain_answer
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, message
from tests.fakes.records import call_record
from tests.http.play import BODY, TARGET

DAY_MS = 24 * HOUR_MS
BUSY = "relayd_event_loop_lag_seconds"
"""What else this machine does is not what is tested."""
WELL_MINUTES, ILL_MINUTES = 20, 90
AT_ONCE = {"RelaydInternalErrors", "RelaydRecordsRefused", "RelaydWebhooksForged",
           "RelaydLogLinesLost", "RelaydStoreFailing"}
"""After two minutes. All but the last look at what has been added lately."""
AT_LAST = {"RelaydTicketsOverdue", "RelaydAssessmentFindings", "RelaydReloadFailed",
           "RelaydDeploymentsDown", "RelaydStoreFailing", "RelaydAssessmentOverdue",
           "RelaydSweepStale", "RelaydMonthsOverdue", "RelaydCredentialResting"}


def values(page: bytes, now_ms: int, start_minute: int) -> dict[str, float]:
    """The samples of a scrape, as if the time had been this many minutes after 1970."""
    found: dict[str, float] = {}
    for each in text_string_to_metric_families(page.decode()):
        for sample in () if each.name == BUSY else each.samples:
            value = float(sample.value)
            if sample.name.endswith("_timestamp_seconds") and value:
                value += start_minute * 60 - now_ms / 1000
            labels = {**sample.labels, "instance": "a", "job": "relayd"}
            words = ",".join(f'{name}="{text}"' for name, text in sorted(labels.items()))
            found[f"{sample.name}{{{words}}}"] = value
    return found


def judged(
    folder: Path, pages: Iterable[dict[str, float]], expected: dict[int, set[str]],
) -> str:
    """What promtool says where other alerts than expected fire at these minutes; "" if none."""
    well, ill = pages
    rows = [f"      - {{series: {json.dumps(name)}, values: '"
            f"{well.get(name, '_')}x{WELL_MINUTES - 1} {ill.get(name, '_')}x{ILL_MINUTES}'}}"
            for name in sorted({*well, *ill})]
    checks = [f"      - expr: 'group by (alertname) (ALERTS{{alertstate=\"firing\"}})'\n"
              f"        eval_time: {minute}m\n        exp_samples: " + json.dumps(
                  [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)])
              for minute, names in expected.items()]
    file = folder / "alerts_test.yml"
    file.write_text(f"rule_files: ['{ALERTS}']\nevaluation_interval: 1m\ntests:\n"
                    "  - interval: 1m\n    input_series:\n" + "\n".join(rows)
                    + "\n    promql_expr_test:\n" + "\n".join(checks) + "\n")
    done = run(tool("promtool"), "test", "rules", str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def answer(seen: Request) -> Answer:
    if b'"test-model"' in seen.body:
        return plain_answer()
    return Answer(message(b'{"error":{"message":"x","code":"invalid_api_key"}}', status=401))


async def full_disk(*_: object) -> None:
    raise StoreError("store_failed")


async def go_wrong(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that nobody is paid for to watch all day."""
    app, now_ms = lane.app, unix_ms()
    jobs = cast(dict[str, Any], app._jobs)

    def later(name: str, kind: type, days: float) -> Any:
        job = jobs[name]
        assert isinstance(job, kind)
        monkeypatch.setattr(job, "_now_ms", lambda: round(now_ms + days * DAY_MS))
        monkeypatch.setattr(job, "_believed", always, raising=False)  # and no leap
        return job

    # nobody has answered a ticket for a month
    await ticket.open_ticket(app.db, Writing("privacy", "s", "b", contact="a@example.org"), now_ms)
    await later("erasures", Erasures, 31).look()
    # the canary report has findings, and was found to have them nine days ago
    canary.write(app.db.directory, b'{"report": {"clean": false}}')
    await later("assessments", Assessments, -9).look()
    # nothing was swept since yesterday
    await later("retention", Retention, -1).look()
    # a month is over, and the disk is full as it is closed
    who = (await account.create(app.db, "bea@example.org", None, now_ms)).id
    await usage.post(app.db, [call_record(
        account=who, started_at_ms=now_ms, amount_nano=1_500_000_000)])
    with monkeypatch.context() as patch:
        patch.setattr("relayd.control.closing._account", full_disk)
        await later("months", Months, 40).look()
    # a reload with a fault
    fault = Fault("server", 1, "is wrong", "")
    assert not daemon.take(app, Reading(None, [fault], []), app.logger)
    # the provider has revoked the credential
    raw = request_bytes(TARGET, lane.key, BODY.replace(b"test-model", b"revoked"))
    for _ in range(10):
        await ask(lane.address, raw)
    with monkeypatch.context() as patch:  # a defect of ours
        patch.setattr("relayd.relay.handler.whole", None)
        await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    # a message that no partner has sent
    assert app.console is not None and app._plane is not None and app._flush is not None
    host, port = app.console.listener.address
    async with aiohttp.ClientSession() as http:
        for _ in range(7):
            await http.post(f"http://{host}:{port}{WEBHOOK_PATH}card", data=b"{}")
    # a record that no store can take, and a store that has taken none for two minutes
    app._plane.meter.append(call_record(attempts=-1))
    await app._flush.flush()
    app._plane.meter.append(call_record())
    monkeypatch.setattr(app._flush, "_clean_at", app._flush._clean_at - 120)
    # nobody reads the log
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr(app.logger, "_stream", full)
        app.logger.warning("lost")


async def test_everything_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool("promtool")
    partner = DemoPartner(make_keys(), "http://127.0.0.1:9/")
    await partner.start()
    try:
        async with Lane(
            tmp_path / "store", answer, invoices=InvoicesConfig(close_hours=1),
            payments=partner.config(), routes=(Route("*", (Deployment("openai"),)),),
        ) as lane:
            app = lane.app
            await cast(Assessments, app._jobs["assessments"]).look()
            await cast(Retention, app._jobs["retention"]).look()
            assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
            await lane.settled(1)
            well = values(app.metrics.render(), unix_ms(), 0)
            await go_wrong(lane, monkeypatch)
            ill = values(app.metrics.render(), unix_ms(), WELL_MINUTES)
    finally:
        await partner.stop()
    told = judged(tmp_path, (well, ill), {
        WELL_MINUTES - 1: set(), WELL_MINUTES + 2: AT_ONCE, WELL_MINUTES + ILL_MINUTES: AT_LAST})
    assert told == ""
