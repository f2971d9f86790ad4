"""What Prometheus makes of us: our scrape, our alerts, and every query of our dashboard.

Needs promtool and prometheus, which Debian has in one package.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from relayd.core.limit import Limits
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.ops.config import LimitsConfig
from tests.e2e.test_metrics_page import full, in_page
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, message
from tests.shared import ROOT

CONFIG = ROOT / "config"
ALERTS = CONFIG / "prometheus" / "alerts.yml"
DASHBOARD = CONFIG / "grafana" / "relayd.json"
TIMEOUT_SECONDS = 60
NEED_AN_EVENT = {
    "Certificate: days left",  # a listener with TLS
    "Mail by result",  # a mail
    "Hours since terms were swept",  # a sweep
}
"""Panels that stay empty on a relay like the one of this test."""


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not here: apt-get install prometheus")
    return path


def run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                          timeout=TIMEOUT_SECONDS)


def queries() -> list[tuple[str, str]]:
    """(panel, expression) of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels
            for target in panel.get("targets", ())]


def test_a_scrape_is_clean() -> None:
    found = run(tool("promtool"), "check", "metrics", text=full())
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize(("verb", "file"), [
    ("check", "alerts.yml"), ("test", "alerts_test.yml")])
def test_alerts(verb: str, file: str) -> None:
    found = run(tool("promtool"), verb, "rules", str(ALERTS.with_name(file)))
    assert found.returncode == 0, found.stdout + found.stderr


def test_alerts_and_dashboard_name_metrics_that_exist() -> None:
    known = {name for name, *_ in in_page()} | {"relayd"}
    for text in (ALERTS.read_text(), *(query for _, query in queries())):
        for name in re.findall(r"\b(?:relayd|gen_ai|process)_[a-z_]+(?=[{\[ ])", text):
            assert re.sub("_(bucket|sum|count)$", "", name) in known or name in known, name


def test_panels_have_names_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for field in ("id", "title"):
        assert len({panel[field] for panel in panels}) == len(panels)


@asynccontextmanager
async def prometheus(directory: Path, target: tuple[str, int]) -> AsyncIterator[str]:
    """A Prometheus that scrapes the target every half second; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: 500ms, evaluation_interval: 1s}}\nrule_files: ['{ALERTS}']\n"
        "scrape_configs: [{job_name: relayd, static_configs: "
        f"[{{targets: ['{target[0]}:{target[1]}']}}]}}]\n")
    process = await asyncio.create_subprocess_exec(
        tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    try:
        await scraping(url := f"http://127.0.0.1:{port}/api/v1/query")
        yield url
    finally:
        process.terminate()
        await process.wait()


async def scraping(url: str) -> None:
    """Returns when it has seen its target."""
    async with asyncio.timeout(TIMEOUT_SECONDS), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError, aiohttp.ContentTypeError):
                if await ask(session, url, "up == 1"):
                    return
            await asyncio.sleep(0.1)


async def ask(session: aiohttp.ClientSession, url: str, query: str) -> list[float]:
    """The numbers that a query gives; fails where Prometheus does not understand it."""
    async with session.get(url, params={"query": query}) as reply:
        body = await reply.json()
    assert body["status"] == "success", (query, body)
    values = [float(sample["value"][1]) for sample in body["data"]["result"]]
    return [value for value in values if not math.isnan(value)]


async def load(lane: Lane, session: aiohttp.ClientSession, count: int) -> None:
    """Calls that succeed, fail, are refused, and have no key."""
    url = f"http://127.0.0.1:{lane.address[1]}/v1/chat/completions"
    for number in range(count):
        for model, key in (("fine", lane.key), ("broken", lane.key), ("tight", lane.key),
                           ("fine", "wrong")):
            body = {"model": model, "stream": number % 2 == 0,
                    "messages": [{"role": "user", "content": "Hello"}]}
            async with session.post(url, json=body,
                                    headers={"authorization": f"Bearer {key}"}) as reply:
                await reply.read()
        await asyncio.sleep(0.1)


EVENTS = b"".join(b"data: " + line + b"\n\n" for line in (
    b'{"choices":[{"index":0,"delta":{"content":"Hello"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":"stop"}]}',
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
    b'"prompt_tokens_details":{"cached_tokens":1}}}', b"[DONE]"))


def answer(seen: Request) -> Answer:
    """What the model's name asks for."""
    if b'"broken"' in seen.body:
        return Answer(message(b"{}", status=500))
    if b'"stream":true' in seen.body.replace(b" ", b""):
        return Answer(message(EVENTS, "text/event-stream", chunked=True), pace="segments-150")
    return Answer(message(ANSWER))


async def test_every_panel_of_the_dashboard_shows_something(tmp_path: Path) -> None:
    tool("prometheus")
    prices = PriceBook([Price("*", unit_prices({"input": 10 ** 6, "output": 10 ** 6}))])
    limits = LimitsConfig(models={"tight": Limits(requests_per_minute=1)})
    async with (
        Lane(tmp_path / "store", answer, patterns=("fine", "broken", "tight"), prices=prices,
             limits=limits) as lane,
        aiohttp.ClientSession() as session,
        prometheus(tmp_path, lane.app.ops_address) as url,
    ):
        await load(lane, session, 50)
        await asyncio.sleep(1.0)
        empty = set()
        for title, query in queries():
            query = query.replace("$__rate_interval", "15s").replace("$instance", ".*")
            if not await ask(session, url, query):
                empty.add(title)
        for query in in_page().values():
            await ask(session, url, query)
        assert empty == NEED_AN_EVENT
        clean = await asyncio.to_thread(
            run, tool("promtool"), "check", "metrics", text=lane.app.metrics.render().decode())
        assert (clean.returncode, clean.stdout + clean.stderr) == (0, "")
        firing = await ask(session, url, 'ALERTS{alertstate="firing"}')
        assert firing == []
