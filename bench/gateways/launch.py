"""How each peer is started: command, files and environment. Pure; `running.py` does it.

Law: one worker, loopback, no access log, no calls home, retries off: as its own documents name it.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.gateways.catalogue import BY_NAME


@dataclass(frozen=True, slots=True)
class Site:
    """Where a peer is installed (`home`), runs (`folder`), listens and sends to."""

    home: Path
    folder: Path
    port: int
    spare_port: int
    upstream_port: int

    @property
    def upstream(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self.upstream_port}"

    def program(self, name: str) -> str:
        """A program of the peer's virtualenv."""
        return str(self.home / "venv/bin" / name)


@dataclass(frozen=True, slots=True)
class Launch:
    """What is run; `files` are written into the site's folder first.

    With `tells_port` the peer chooses its port and says its URL in its output.
    """

    command: list[str]
    files: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    tells_port: bool = False


TOKIO: Final = {"TOKIO_WORKER_THREADS": "1", "RUST_LOG": "error"}

HAPROXY: Final = """\
global
  maxconn 9000
  nbthread 1
  tune.bufsize 65536
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 120s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend f
  bind 127.0.0.1:{port} backlog 4096
  default_backend b
backend b
  server s1 127.0.0.1:{upstream_port} pool-max-conn -1 pool-low-conn 256
"""
ROLTER: Final = """\
[server]
host = "127.0.0.1"
port = {port}
[[providers]]
name = "up"
kind = "openai_compatible"
api_base = "{upstream}"
[[routes]]
model = "gpt-4o-mini"
strategy = "round_robin"
[[routes.targets]]
provider = "up"
model = "gpt-4o-mini"
"""
TENSORZERO: Final = """\
[gateway]
observability.enabled = false
[models.gpt-4o-mini]
routing = ["up"]
[models.gpt-4o-mini.providers.up]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "{upstream}/v1/"
api_key_location = "none"
"""
# the wheel's gateway, the one that its patch_openai_client starts
TENSORZERO_RUN: Final = """\
import sys, threading
import tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None,
    async_setup=False)
print(gateway.base_url, flush=True)
threading.Event().wait()
"""
FERROGW: Final = """\
apiVersion: v1
strategy:
  mode: single
targets:
  - virtual_key: openai
"""
# provider and host go into each request here, so that clients send the same as to all others
PORTKEY: Final = """\
import http from 'node:http';
const host = `${process.env.BENCH_UPSTREAM}/v1`;
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (name, request, ...rest) {
  if (name === 'request') request.rawHeaders.push(
    'x-portkey-provider', 'openai', 'x-portkey-custom-host', host);
  return emit.call(this, name, request, ...rest);
};
"""
LITELLM: Final = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: {upstream}/v1
      api_key: sk-none
litellm_settings:
  num_retries: 0
  request_timeout: 600
  drop_params: true
  telemetry: false
general_settings:
  disable_spend_logs: true
router_settings:
  num_retries: 0
"""


def _write(form: str, site: Site) -> str:
    return form.format(port=site.port, upstream=site.upstream, upstream_port=site.upstream_port)


def _haproxy(site: Site) -> Launch:
    unpacked = site.home / "usr/sbin/haproxy"
    libraries = site.home / "usr/lib" / (sysconfig.get_config_var("MULTIARCH") or "")
    environ = {"LD_LIBRARY_PATH": str(libraries)} if unpacked.exists() else {}
    binary = str(unpacked) if unpacked.exists() else "/usr/sbin/haproxy"
    return Launch([binary, "-f", str(site.folder / "haproxy.cfg"), "-db"],
                  {"haproxy.cfg": _write(HAPROXY, site)}, environ)


def _envoy(site: Site) -> Launch:
    kinds = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{kinds}.http.router.v3.Router", "dynamic_stats": False,
              "suppress_envoy_headers": True}
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "h", "codec_type": "HTTP1", "generate_request_id": False,
        "stream_idle_timeout": "0s", "common_http_protocol_options": {"idle_timeout": "120s"},
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    cluster = {
        "name": "up", "type": "STATIC", "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": 16384, "max_pending_requests": 65536, "max_requests": 65536}]},
        "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": _address(site.upstream_port)}}]}]},
    }
    listener = {"name": "l", "address": _address(site.port), "tcp_backlog_size": 4096,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager}]}]}
    config = json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    return Launch([site.program("envoy"), "-c", str(site.folder / "envoy.json"), "--concurrency",
                   "1", "--disable-hot-restart", "-l", "error"], {"envoy.json": config})


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _vllm_router(site: Site) -> Launch:
    return Launch([site.program("vllm-router"), *_rust_router(site)], environ=TOKIO)


def _smg(site: Site) -> Launch:
    return Launch([site.program("smg"), "launch", *_rust_router(site), "--disable-retries",
                   "--max-concurrent-requests", "-1"], environ=TOKIO)


def _rust_router(site: Site) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(site.port), "--worker-urls", site.upstream,
            "--policy", "round_robin", "--log-level", "error", "--prometheus-host", "127.0.0.1",
            "--prometheus-port", str(site.spare_port)]


def _rolter(site: Site) -> Launch:
    return Launch([site.program("rolter"), "gateway", "-c", "rolter.toml", "--host", "127.0.0.1",
                   "--port", str(site.port)], {"rolter.toml": _write(ROLTER, site)},
                  {**TOKIO, "ROLTER_KEY_PEPPER": "pepper-of-a-benchmark-000000000000"})


def _tensorzero(site: Site) -> Launch:
    return Launch([site.program("python"), "run.py", "tensorzero.toml"],
                  {"run.py": TENSORZERO_RUN, "tensorzero.toml": _write(TENSORZERO, site)}, TOKIO,
                  tells_port=True)


def _ferrogw(site: Site) -> Launch:
    return Launch([site.program("ferrogw"), "serve"], {"config.yaml": FERROGW}, {
        "GOMAXPROCS": "1", "GATEWAY_CONFIG": str(site.folder / "config.yaml"),
        "PORT": str(site.port), "HOST": "127.0.0.1", "OPENAI_API_KEY": "sk-none",
        "OPENAI_BASE_URL": f"{site.upstream}/v1", "MASTER_KEY": BY_NAME["ferrogw"].key,
        "ALLOW_UNAUTHENTICATED_PROXY": "true", "LOG_LEVEL": "error", "LOG_FORMAT": "json",
        "RATE_LIMIT_RPS": "0"})


def _portkey(site: Site) -> Launch:
    start = site.home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    return Launch(["node", "--import", str(site.folder / "inject.mjs"), str(start),
                   f"--port={site.port}", "--headless"], {"inject.mjs": PORTKEY}, {
        "BENCH_UPSTREAM": site.upstream, "NODE_ENV": "production",
        "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})


def _litellm(site: Site) -> Launch:
    return Launch([site.program("litellm"), "--config", "config.yaml", "--host", "127.0.0.1",
                   "--port", str(site.port), "--num_workers", "1", "--telemetry", "False"],
                  {"config.yaml": _write(LITELLM, site)}, {
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_LOCAL_BLOG_POSTS": "True", "NO_DOCS": "True", "NO_REDOC": "True",
        "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true", "SEPARATE_HEALTH_APP": "0",
        "DO_NOT_TRACK": "1"})


LAUNCHES: Final[dict[str, Callable[[Site], Launch]]] = {
    "haproxy": _haproxy, "envoy": _envoy, "vllm-router": _vllm_router, "rolter": _rolter,
    "smg": _smg, "tensorzero": _tensorzero, "ferrogw": _ferrogw, "portkey": _portkey,
    "litellm": _litellm,
}
