"""What the doctor finds out over the network: can providers be reached, does the daemon answer.

Law: to a provider only a connection and a TLS handshake, never a request or a credential; every
wait ends after `seconds`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable
from typing import Final

from relayd.core.provider import Provider
from relayd.ops.configfile_address import parse_listen
from relayd.ops.configfile_fault import words_of
from relayd.ops.doctor import Finding
from relayd.ops.scrape import Sample, fetch, samples

REACH_SECONDS: Final = 5.0
LEAVES_SECONDS: Final = 0.3
"""How long a connection is watched: balancers without a server behind them take it and end it."""
_ANSWER_BYTES_MAX: Final = 4096
# X509_V_ERR_... in OpenSSL's x509_vfy.h
_OUT_OF_TIME: Final = (9, 10)
_OF_ANOTHER: Final = (62, 64)


async def provider_finding(provider: Provider, seconds: float = REACH_SECONDS) -> Finding:
    """Connects to a provider as the relay would, and closes."""
    address, subject = provider.address, f"provider {provider.name}"
    where = f"{address.host}:{address.port}"
    if provider.proxy is not None:
        return Finding("warn", subject, "It has a proxy, which is not examined.", "")
    try:
        tls = _tls(provider) if address.scheme == "https" else None
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=tls,
                server_hostname=address.host if tls else None)
            left = await _leaves(reader)
            await _close(writer)
    except OSError as caught:  # TimeoutError and ssl.SSLError are among them
        error = _of_one(caught)
        return Finding("fail", subject, f"{where}: {_cause(error)}.", _remedy(error))
    if left:
        return Finding("fail", subject, f"{where}: the connection is ended as soon as it is made.",
                       "What takes it is a balancer or a proxy without the provider behind it.")
    return Finding("ok", subject, f"{where} can be reached{' over TLS' if tls else ''}.")


async def _leaves(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends the connection before it is asked anything."""
    try:
        async with asyncio.timeout(LEAVES_SECONDS):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def _tls(provider: Provider) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=provider.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:  # how the other side takes the end of an unused connection is its affair
        return


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS is possible ({error.reason})"
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "there is no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    return f"the connection fails ({words_of(error)})"


def _of_one(error: OSError) -> OSError:
    """Where all addresses of a name fail, asyncio has their errors in one text: the last of them,
    which is IPv4's where there are both."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error)) if error.errno is None else []
    return OSError(int(numbers[-1]), "") if numbers else error


def _remedy(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OF_ANOTHER:
            return "Check base_url: what answers there is another host."
        if error.verify_code in _OUT_OF_TIME:
            return "Check this machine's clock; else who runs it must renew the certificate."
        return "For a provider with an authority of its own, name that in ca_file."
    if isinstance(error, socket.gaierror):
        return "Check base_url and this machine's DNS."
    return "Check base_url, the firewall, and that the provider is up."


async def daemon_finding(listen: str, seconds: float = REACH_SECONDS) -> Finding:
    """Asks a running daemon's ops listener whether it is ready; a stopped one is no fault."""
    try:
        async with asyncio.timeout(seconds):
            status, reason = await _readyz(listen)
    except (OSError, ValueError) as caught:
        error = _of_one(caught) if isinstance(caught, OSError) else caught
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
            return Finding("ok", "daemon", f"No daemon answers at {listen}: it is not running.")
        return Finding("fail", "daemon", f"{listen} does not answer as relayd does "
                                         f"({words_of(error)}).",
                       "Check what listens there, and whether the daemon hangs.")
    if status == 200:
        return Finding("ok", "daemon", f"The daemon at {listen} is ready.")
    return Finding("warn" if reason in ("draining", "starting") else "fail", "daemon",
                   f"The daemon at {listen} is not ready: {reason}.", "See its log.")


async def health_findings(
    listen: str, providers: Iterable[str], seconds: float = REACH_SECONDS,
) -> list[Finding]:
    """Of which providers a running daemon says that they do not serve it; none without a daemon.

    What ends connections after it has the request, or answers errors, can be reached.
    """
    try:
        _, page = await fetch(listen, "/metrics", seconds)
    except (OSError, ValueError):  # `daemon_finding` tells
        return []
    found = list(samples(page))
    return [finding for name in providers if (finding := _health(name, found)) is not None]


def _health(name: str, found: Iterable[Sample]) -> Finding | None:
    mine = [sample for sample in found if sample.labels.get("provider") == name]
    states = {sample.labels["state"] for sample in mine
              if sample.name == "relayd_deployments" and sample.value}
    down = any(sample.name == "relayd_provider_up" and not sample.value for sample in mine)
    subject = f"provider {name}"
    if down:
        return Finding("fail", subject, "The daemon cannot connect to it.",
                       "provider_unreachable in the daemon's log says why.")
    if states & {"down", "cooling"} and "healthy" not in states:
        return Finding("warn", subject, "The daemon leaves it out: calls fail there.",
                       "relayd usage --calls --since 1h has the errors.")
    return None


async def _readyz(listen: str) -> tuple[int, str]:
    """Status and reason; ValueError where the answer is not that of an ops listener."""
    address = parse_listen(listen)
    if address.kind == "unix":
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while len(answer) < _ANSWER_BYTES_MAX and (data := await reader.read(_ANSWER_BYTES_MAX)):
            answer += data
    finally:
        await _close(writer)
    head, gap, body = answer.partition(b"\r\n\r\n")
    reason = body.decode("ascii").strip()
    if not gap or not head.startswith(b"HTTP/1.1 ") or not reason.replace("_", "").isalpha():
        raise ValueError("not an ops listener")
    return int(head[9:12]), reason


async def memory_finding(
    listen: str, wanted: bool, seconds: float = REACH_SECONDS,
) -> Finding | None:
    """Whether a running daemon overwrites freed memory, as it has seen; None without a daemon."""
    try:
        _, page = await fetch(listen, "/metrics", seconds)
    except (OSError, ValueError):  # `daemon_finding` tells
        return None
    wiped = any(sample.name == "relayd_memory_wiped" and sample.value == 1
                for sample in samples(page))
    if wiped:
        return Finding("ok", "memory", "The daemon overwrites freed memory.")
    if wanted:
        return Finding("fail", "memory", "The daemon does not overwrite freed memory, though "
                                         "[privacy] wipe_memory is on.",
                       "Restart it; if that changes nothing, its C library is not glibc.")
    return Finding("warn", "memory", "Freed memory keeps its content until it is reused.",
                   "Set [privacy] wipe_memory = true, for about 1.2 times the CPU.")
