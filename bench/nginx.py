"""nginx as a peer: its configuration, and where its binary comes from.

Law: the machine is not changed. Where nginx is not installed, Debian's package is fetched and
unpacked beside the results; installing it would start a server on port 80.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.process import NotStarted

PACKAGES: Final = ("nginx", "nginx-light")
APT_SECONDS: Final = 120

CONFIG: Final = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid;
error_log {folder}/nginx.err error; worker_rlimit_nofile {files};
events {{ worker_connections 16384; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on;
  keepalive_timeout 120s; keepalive_requests 100000000;
  client_body_buffer_size 1m; client_max_body_size 64m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream up {{
    server 127.0.0.1:{upstream_port};
    keepalive 1024; keepalive_requests 100000000; keepalive_timeout 120s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {scheme}://up; proxy_ssl_verify off; proxy_ssl_session_reuse on;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 600s;
    }}
  }}
}}
"""


def write(folder: Path, port: int, upstream_port: int, *, tls: bool, files: int) -> Path:
    """The configuration: one worker, kept-alive connections upstream, nothing buffered."""
    path = folder / "nginx.conf"
    path.write_text(CONFIG.format(
        folder=folder, port=port, upstream_port=upstream_port, files=files,
        scheme="https" if tls else "http"))
    return path


def binary(cache: Path) -> str:
    """Where nginx is; raises NotStarted where there is none to be had."""
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("nginx", path=places)
    unpacked = cache / "usr/sbin/nginx"
    if found is None and not unpacked.exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            _fetch(cache, unpacked)
    if found is None and not unpacked.exists():
        raise NotStarted("not installed (Debian: apt-get install nginx-light)")
    return found or str(unpacked)


def _fetch(cache: Path, wanted: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if wanted.exists():
            return
        subprocess.run(["apt-get", "-q", "download", package], cwd=cache, check=True,
                       capture_output=True, timeout=APT_SECONDS)
        for archive in cache.glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive, cache], check=True, capture_output=True,
                           timeout=APT_SECONDS)
            archive.unlink()


def version(path: str) -> str:
    """`nginx/1.22.1`."""
    said = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10).stderr
    return said.strip().rpartition(" ")[2]
