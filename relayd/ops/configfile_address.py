"""Addresses in a configuration: where listeners bind, which networks are trusted, base URLs.

Law: pure; nothing is resolved or connected.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from relayd.core.provider import Address, ProviderApi

SYSTEMD: Final = "systemd"
UNIX: Final = "unix:"
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*")
_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")
_ORIGIN: Final = re.compile(r"\*|https?://[^\s/?#@*]+")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LISTEN_FORMS: Final = ("is not an address: write 127.0.0.1:8080, [::1]:8080,"
                        " unix:/run/relayd/api.sock or systemd")
_PRIVATE_NAMES: Final = (".internal", ".local", ".lan", ".svc", ".home.arpa", ".localhost")


@dataclass(frozen=True, slots=True)
class Listen:
    """A listener's address. `host` is set for tcp, `path` for unix."""

    kind: Literal["tcp", "unix", "systemd"]
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_private(self) -> bool:
        """True where only this machine can connect; unknown for systemd, so False."""
        return self.kind == "unix" or (self.kind == "tcp" and is_loopback(self.host))


def is_loopback(host: str) -> bool:
    """True for localhost and the loopback networks."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_near(host: str) -> bool:
    """True where the host looks like one of the operator's own network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.lower().endswith(_PRIVATE_NAMES)


def parse_listen(text: str) -> Listen:
    """The address of a listener; ValueError with a text that may be shown."""
    if text == SYSTEMD:
        return Listen("systemd")
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or "\0" in path or len(path.encode()) > 107:
            raise ValueError("needs an absolute path of at most 107 bytes after unix:")
        return Listen("unix", path=path)
    match = _LISTEN.fullmatch(text)
    if match is None:
        raise ValueError(_LISTEN_FORMS)
    host, port = match[1] or match[2], int(match[3])
    if port > 65535:
        raise ValueError("has a port above 65535")
    if match[1] or re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(_LISTEN_FORMS) from None
    elif not _HOST.fullmatch(host):
        raise ValueError(_LISTEN_FORMS)
    return Listen("tcp", host, port)


def listen_problem(text: str) -> str:
    """What is wrong with a listener's address; empty where nothing is."""
    try:
        parse_listen(text)
    except ValueError as error:
        return str(error)
    return ""


def network_problem(text: str) -> str:
    """What is wrong with a trusted network; empty where nothing is."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return "is not a network: write 10.0.0.0/8 or fd00::/8, with no bits set after the prefix"
    return ""


def origin_problem(text: str) -> str:
    """What is wrong with a CORS origin; empty where nothing is (RFC 6454 section 6.2)."""
    if _ORIGIN.fullmatch(text):
        return ""
    return "is not an origin: write https://app.example.org, with no path, or *"


def parse_base_url(text: str) -> Address:
    """A provider's base URL; ValueError with a text that may be shown, without the URL."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable():
        raise ValueError("is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds user information: credentials go into `credential`")
    if "?" in text or "#" in text:
        raise ValueError("has a query or a fragment")
    host = parts.hostname
    if not is_host(host):
        raise ValueError("has a host name that is not valid (international ones: in xn-- form)")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("has a path that is not plain")
    if port == 0:
        raise ValueError("has port 0")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Address(scheme, host, port or _DEFAULT_PORTS[scheme], path)


def is_host(host: str) -> bool:
    """True for an address, and for a name that can be looked up."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"[0-9.]+", host)


@dataclass(frozen=True, slots=True)
class PathVerdict:
    """What is said about the path of a base URL. `fatal`: requests could never arrive."""

    fatal: bool
    problem: str
    remedy: str


_CALL_TAILS: Final = ("/chat/completions", "/completions", "/responses", "/embeddings",
                      "/messages", "/models")


def path_verdict(api: ProviderApi, address: Address, versioned: bool) -> PathVerdict | None:
    """The usual mistakes of a base URL, with the right form; None where it looks right.

    `versioned`: the provider has an `api_version` (azure's older paths).
    """
    path, origin = address.path, "https://HOST"
    if path.endswith(_CALL_TAILS):
        return PathVerdict(True, "ends in the path of a call",
                           "Leave out what comes after the API's base: the relay appends it")
    if api in ("anthropic", "gemini"):
        if re.search(r"/v[0-9]+(?:alpha|beta)?[0-9]*\Z", path):
            return PathVerdict(True, f"ends in a version, and {api} paths bring their own",
                               f"Write {origin}, without the version")
        return None
    if api == "azure":
        return _azure_verdict(path, versioned)
    if not path:
        known = address.host == "api.openai.com"
        return PathVerdict(known, "has no path, and OpenAI paths are appended without a version",
                           f"Most providers want {origin}/v1")
    if "/v1/v1" in path:
        return PathVerdict(True, "has /v1 twice", f"Write {origin}/v1")
    return None


def _azure_verdict(path: str, versioned: bool) -> PathVerdict | None:
    if versioned and path:
        return PathVerdict(True, "has a path, and api_version is set",
                           "Write https://NAME.openai.azure.com alone, or leave api_version out")
    if not versioned and not path.endswith("/v1"):
        return PathVerdict(True, "does not end in /openai/v1, and api_version is not set",
                           "Write https://NAME.openai.azure.com/openai/v1, or set api_version")
    return None
