"""The listeners of a configuration: `[server]`, and the addresses of `[console]` and `[ops]`.

Law: no listener in clear text on an address that others reach, unless the file says that
something before it ends TLS.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterable
from typing import Any, Final

from relayd.ops.certificate import begins_at_seconds, ends_at_seconds
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config, ServerConfig, TlsFiles
from relayd.ops.configfile_address import (
    SYSTEMD, Listen, listen_problem, network_problem, origin_problem, parse_listen,
)
from relayd.ops.configfile_credential import START, Surroundings
from relayd.ops.configfile_fault import Path, words_of
from relayd.ops.configfile_section import Section, kind_of
from relayd.ops.readfile import read_file

TERMINATED: Final = "terminated"
_KIB: Final = 1024
_MIB: Final = 1024 * 1024
_DAY: Final = 86_400.0
INTEGERS: Final = {
    "max_body_bytes": (1, 4096 * _MIB),
    "head_bytes_max": (_KIB, _MIB),
    "header_count_max": (8, 10_000),
    "target_bytes_max": (256, _MIB),
    "connections_max": (1, 1_000_000),
    "connections_per_address_max": (0, 1_000_000),
    "write_buffer_bytes": (_KIB, 64 * _MIB),
    "json_reply_bytes_max": (_KIB, 4096 * _MIB),
    "reply_bytes_max": (_MIB, 1 << 50),
    "calls_max": (1, 1_000_000),
    "pending_bytes_max": (_MIB, 1 << 50),
    "memory_bytes_max": (0, 1 << 50),
    "client_drains_max": (0, 1_000_000),
}
NUMBERS: Final = {
    "drain_seconds": (0.0, _DAY),
    "header_seconds": (0.01, 3600.0),
    "body_seconds": (0.01, _DAY),
    "idle_seconds": (0.01, _DAY),
    "heartbeat_seconds": (0.0, 3600.0),
    "lag_seconds_max": (0.0, 60.0),
    "leave_seconds": (0.0, 3600.0),
    "client_drain_seconds": (0.01, 3600.0),
}
_DEFAULT: Final = ServerConfig()
_ALIASES: Final = {"address": "listen", "bind": "listen", "port": "listen", "host": "listen",
                   "cors": "cors_origins", "max_body_size": "max_body_bytes",
                   "timeout": "body_seconds"}
_ANY: Final = frozenset({"0.0.0.0"})
"""Every address of IPv4; that of IPv6 is not IPv4's here (IPV6_V6ONLY)."""
PEM_BYTES_MAX: Final = 1024 * 1024
_NEEDS_TLS: Final = ('Give it `tls = { certificate = "...", key = "..." }`, or write'
                     ' `tls = "terminated"` if something before it ends TLS')


def read_server(section: Section, around: Surroundings) -> ServerConfig:
    """`[server]`; every limit has its range here."""
    listen = section.texts("listen", _DEFAULT.listen, listen_problem, empty=False)
    tls, terminated = _tls(section, around)
    _judge_listeners(section, listen, section.has("tls"))
    trusted = section.texts("trusted_proxies", _DEFAULT.trusted_proxies, network_problem)
    introduced = section.texts(
        "proxy_protocol", _DEFAULT.proxy_protocol, lambda text: "" if text in listen else
        "is not an address of listen: write it exactly as listen has it")
    _judge_introduced(section, introduced, bool(trusted))
    limits: dict[str, Any] = {
        name: section.integer(name, getattr(_DEFAULT, name), low, high)
        for name, (low, high) in INTEGERS.items()
    } | {
        name: section.number(name, getattr(_DEFAULT, name), low, high)
        for name, (low, high) in NUMBERS.items()
    }
    config = ServerConfig(
        listen=listen, tls=tls, tls_terminated=terminated,
        trusted_proxies=trusted, proxy_protocol=introduced,
        reuse_port=section.boolean("reuse_port", _DEFAULT.reuse_port),
        responses_websocket=section.boolean(
            "responses_websocket", _DEFAULT.responses_websocket),
        busy_poll=section.boolean("busy_poll", _DEFAULT.busy_poll),
        cors_origins=section.texts("cors_origins", _DEFAULT.cors_origins, origin_problem),
        **limits,
    )
    section.done(_ALIASES)
    return config


def read_private_listen(section: Section, default: str) -> str:
    """The one address of `[console]` or `[ops]`, which have no TLS of their own."""
    text = section.text("listen", default) or default
    problem = listen_problem(text)
    if not problem and text == SYSTEMD:
        problem = "cannot be systemd: sockets from systemd are for [server]"
    if problem:
        section.fault("listen", problem)
    tls = section.raw("tls")
    if tls not in (None, TERMINATED):
        section.fault("tls", "takes the text terminated alone: no TLS of its own here")
    if not problem and tls is None and not parse_listen(text).is_private:
        section.fault("listen", "is in clear text on an address that is not loopback",
                      'Use 127.0.0.1 or [::1], or write tls = "terminated" if something before it'
                      " ends TLS")
    section.done()
    return text if not problem else default


def read_redirect(section: Section) -> str:
    """`[console] redirect`: the plain port, which serves nothing, so any address will do."""
    text = section.text("redirect") or ""
    problem = listen_problem(text) if text else ""
    if text and not problem and parse_listen(text).kind != "tcp":
        problem = "is not a port: write 0.0.0.0:80 or [::]:80"
    if problem:
        section.fault("redirect", problem)
        return ""
    url = section.raw("url")
    if text and not (isinstance(url, str) and url.isascii() and url.startswith("https:")):
        section.fault("redirect", "needs url to say where to, over https",
                      'Such as url = "https://console.example.org"')
    return text


def _judge_listeners(section: Section, listen: Iterable[str], safe: bool) -> None:
    seen: set[str] = set()
    for index, text in enumerate(listen):
        where: Path = (*section.path, "listen", index)
        address = parse_listen(text)
        if text in seen and not (address.kind == "tcp" and address.port == 0):
            section.findings.fault(where, "is listed twice")
        seen.add(text)
        if safe or address.is_private:
            continue
        if address.kind == "systemd":
            section.findings.warning(
                where, "is in clear text: the socket unit must name a loopback address",
                _NEEDS_TLS)
        else:
            section.findings.fault(
                where, "is in clear text on an address that is not loopback", _NEEDS_TLS)


def _judge_introduced(section: Section, introduced: Iterable[str], trusted: bool) -> None:
    """Whoever may say who the client is must be named, or nobody could connect."""
    for index, text in enumerate(introduced):
        if not trusted and parse_listen(text).kind != "unix":
            where: Path = (*section.path, "proxy_protocol", index)
            section.findings.fault(where, "needs trusted_proxies: it accepts only these",
                                   'The balancer\'s addresses, such as ["10.0.0.0/24"]')


def judge_addresses(root: Section, config: Config) -> None:
    """No two listeners of different tables may want one address: the second would not open."""
    others: list[tuple[Path, str]] = [
        (("ops", "listen"), config.ops_listen), (("console", "listen"), config.console_listen)]
    if config.console_redirect:
        others.append((("console", "redirect"), config.console_redirect))
    taken = [parse_listen(text) for text in config.server.listen]
    for path, text in others:
        wanted = parse_listen(text)
        if any(_collide(wanted, each) for each in taken):
            root.findings.fault(path, "is an address that another listener has",
                                "Each needs its own")
        taken.append(wanted)


def _collide(one: Listen, other: Listen) -> bool:
    if one.kind == "unix" or other.kind == "unix":
        return one == other
    hosts = {one.host, other.host}
    return one.kind == other.kind == "tcp" and one.port == other.port != 0 and (
        len(hosts) == 1 or not _ANY.isdisjoint(hosts))


def _tls(section: Section, around: Surroundings) -> tuple[TlsFiles | None, bool]:
    value = section.raw("tls")
    if value is None or value == TERMINATED:
        return None, value == TERMINATED
    if not isinstance(value, dict):
        kind = "not the text terminated" if isinstance(value, str) else kind_of(value)
        section.fault("tls", f"is {kind}", _NEEDS_TLS)
        return None, False
    table = section.table("tls")
    certificate, key = _pem(table, "certificate", around), _pem(table, "key", around)
    if around.secrets != "skip" and certificate and key:
        _judge_pair(table, certificate, key)
    table.done({"cert": "certificate", "chain": "certificate", "private_key": "key"})
    return TlsFiles(certificate, key), False


def _judge_pair(table: Section, certificate: str, key: str) -> None:
    """The chain and the key must belong together, or no handshake would succeed."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        table.findings.fault(table.path, f"cannot be used ({_unusable(error, certificate, key)})",
                             "Two PEM files that belong together, the key without a password")
        return
    path, now_ms = (*table.path, "certificate"), unix_ms()
    ends, begins = ends_at_seconds(certificate), begins_at_seconds(certificate)
    if ends is not None and ends * 1000 <= now_ms:
        table.findings.warning(path, "has ended: clients will refuse it",
                               "Renew it, then reload; or is this machine's clock wrong?")
    elif begins is not None and begins * 1000 > now_ms:
        table.findings.warning(path, "is not valid yet: clients will refuse it until then",
                               "Is this machine's clock wrong, or is it a later certificate?")


def _unusable(error: OSError | ValueError, certificate: str, key: str) -> str:
    """In words of ours: what OpenSSL says differs from version to version."""
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the certificate's"
    if not isinstance(error, ssl.SSLError):
        return words_of(error)
    try:
        if b"-BEGIN CERTIFICATE-" not in read_file(certificate, PEM_BYTES_MAX)[0]:
            return "the certificate is not a PEM file"
        found = read_file(key, PEM_BYTES_MAX)[0]
    except OSError as again:
        return words_of(again)
    if b"ENCRYPTED" in found:
        return "the key has a password"
    return "SSLError" if b"PRIVATE KEY-" in found else "the key is not a PEM file"


def _pem(table: Section, name: str, around: Surroundings) -> str:
    """The absolute path; an empty text where it cannot be used."""
    text = table.text(name)
    if text is None:
        if not table.has(name):
            table.fault(name, "is missing", "A PEM file")
        return ""
    path = around.file(text)
    if around.secrets == "skip":
        return str(path)
    try:
        _, mode = read_file(path, 1)
    except OSError as error:
        if name == "key" and around.absent(path):
            table.findings.warning((*table.path, name), "can be read inside the service only: its"
                                   " unit does not run", START)
        else:
            table.fault(name, f"cannot be read ({words_of(error)})",
                        "Check its path and its mode")
        return ""
    if not stat.S_ISREG(mode):
        table.fault(name, "is a pipe or a device", "Name a PEM file: each reload reads it again")
        return ""
    if name == "key" and mode & 0o006:
        table.fault(name, "may be read or written by every user of this machine", "chmod 0600 it")
        return ""
    return str(path)
