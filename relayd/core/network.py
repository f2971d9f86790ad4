"""The network record: from where, and with what, an account used its key.

Law: what a client says of itself is reduced to a closed list of names before it is kept; no field
is in a repr. A record is the law's log of connections, never a part of a request to a provider.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from relayd.core.budget import month_of, next_month
from relayd.core.timestamp import DAY_MS

TlsVersion = Literal["1.2", "1.3", "none"]
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS_MAX: Final = 16
"""Entries of an X-Forwarded-For that are looked at, from the nearest on."""
FORWARDED_BYTES_MAX: Final = 1024
PSEUDONYM_BYTES: Final = 8
SALT_BYTES: Final = 32
PREFIXES_MAX: Final = 256
OTHER: Final = "other"
NONE: Final = "none"

_MAPPED_BITS: Final = 96
"""Before an IPv4 address that is written as IPv6."""
_SHARED_V4: Final = 3
_SHARED_V6: Final = 6
"""Bytes of an address that one customer's addresses have in common: /24 and /48."""
_CLIENTS: Final[tuple[tuple[bytes, str], ...]] = (
    # the first that fits; longer beginnings stand before shorter ones
    (b"openai/v1 pythonbindings", "openai-python"),
    (b"openai/python", "openai-python"), (b"asyncopenai/python", "openai-python"),
    (b"azureopenai/python", "openai-python"), (b"asyncazureopenai/python", "openai-python"),
    (b"openai/js", "openai-node"), (b"azureopenai/js", "openai-node"),
    (b"openai/go", "openai-go"), (b"openai/java", "openai-java"), (b"openai/ruby", "openai-ruby"),
    (b"openai/", "openai-other"),
    (b"anthropic/python", "anthropic-python"), (b"asyncanthropic/python", "anthropic-python"),
    (b"anthropic/js", "anthropic-node"), (b"anthropic/go", "anthropic-go"),
    (b"anthropic/java", "anthropic-java"), (b"anthropic/ruby", "anthropic-ruby"),
    (b"anthropic/", "anthropic-other"),
    (b"google-genai-sdk", "google-genai"), (b"agents/python", "openai-agents"),
    (b"agents/javascript", "openai-agents"),
    (b"groq/python", "groq-python"), (b"asyncgroq/python", "groq-python"),
    (b"groq/js", "groq-node"), (b"together/", "together"), (b"asynctogether/", "together"),
    (b"fireworks/", "fireworks"), (b"asyncfireworks/", "fireworks"),
    (b"cerebras/", "cerebras"), (b"asynccerebras/", "cerebras"), (b"cohere/", "cohere"),
    (b"@huggingface/inference", "huggingface"), (b"instructor/", "instructor"),
    (b"dspy/", "dspy"), (b"qwencode/", "qwen-code"),
    (b"mistral-client-python", "mistral-python"),
    (b"mistral-client-typescript", "mistral-node"),
    (b"claude-cli", "claude-code"), (b"claude-code", "claude-code"),
    (b"codex_cli_rs", "codex"), (b"codex_exec", "codex"), (b"codex_vscode", "codex"),
    (b"codex-tui", "codex"), (b"codex", "codex"),
    (b"geminicli-tui", "gemini-cli"), (b"geminicli", "gemini-cli"),
    (b"opencode", "opencode"), (b"litellm", "litellm"), (b"langchain-anthropic", "langchain"),
    (b"langchain-openai", "langchain"), (b"langchain", "langchain"),
    (b"pydantic-ai", "pydantic-ai"), (b"ai-sdk-", "ai-sdk"), (b"ai-sdk/", "ai-sdk"),
    (b"ai/", "ai-sdk"), (b"cursor", "cursor"), (b"cline", "cline"), (b"roo-code", "roo-code"),
    (b"python-httpx", "httpx"), (b"python-requests", "requests"), (b"python/", "python"),
    (b"python-urllib", "python"),
    (b"go-http-client", "go"), (b"okhttp", "okhttp"), (b"java/", "java"), (b"axios", "axios"),
    (b"undici", "node"), (b"node", "node"), (b"bun/", "bun"), (b"deno/", "deno"),
    (b"curl", "curl"), (b"wget", "wget"), (b"postmanruntime", "postman"),
    (b"mozilla/", "browser"),
)
CLIENTS: Final = frozenset(name for _, name in _CLIENTS) | {OTHER, NONE}
"""Every name that a record may have for its client, apart from the version behind it."""
_MAJOR: Final = re.compile(rb"[^0-9]{0,24}?([0-9]{1,3})(?![0-9])")
_NO_VERSION: Final = frozenset({"browser", "openai-other", "anthropic-other", "node"})


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """One connection and key. `port` None where a proxy does not say it; `client` is from
    `client_name`."""

    at_ms: int
    account: str
    key: str
    address: str | None = field(repr=False)
    port: int | None = field(repr=False)
    tls: TlsVersion
    client: str


def client_name(user_agent: bytes | None) -> str:
    """`name/major` from a closed list of names, for a User-Agent field; the rest is dropped.

    `other` stands for what no list has, `none` where there is no such field.
    """
    if not user_agent:
        return NONE
    text = user_agent[:128].strip().lower()
    for beginning, name in _CLIENTS:
        if text.startswith(beginning):
            major = _MAJOR.match(text, len(beginning))
            if major is None or name in _NO_VERSION:
                return name
            return f"{name}/{int(major[1])}"
    return OTHER


def tls_version(name: str | None) -> TlsVersion:
    """The version, from the name that the TLS library has for it."""
    return "1.3" if name == "TLSv1.3" else "1.2" if name == "TLSv1.2" else "none"


def address_of(text: str) -> Ip | None:
    """The address in a text; an IPv4 address that is written as IPv6 is IPv4. None where none."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def network_of(text: str) -> Network:
    """The network in a text, IPv4 in the same cases; raises ValueError where there is none."""
    found = ipaddress.ip_network(text)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def forwarded(
    value: bytes | None, trusted: Callable[[Ip], bool]
) -> tuple[str | None, int | None]:
    """The client's address and port by X-Forwarded-For, as the nearest proxy passed it on.

    Read from the right: each proxy adds whom it has seen, so the first entry that is no trusted
    proxy is the client; what stands before it is the client's own word. Where all are trusted, the
    client is the outermost of them. (None, None) where an entry on the way cannot be read.
    """
    if value is None:
        return None, None
    # what a client puts before the proxies' own entries hides none of them, however long it is
    near = value[-FORWARDED_BYTES_MAX:].decode("latin-1").split(",")
    if len(value) > FORWARDED_BYTES_MAX:
        del near[0]  # cut through, or behind a cut
    return _nearest(near[-HOPS_MAX:], trusted)


def _nearest(
    entries: list[str], trusted: Callable[[Ip], bool]
) -> tuple[str | None, int | None]:
    found: tuple[str | None, int | None] = (None, None)
    for entry in reversed(entries):
        host, port = _split(entry.strip())
        address = address_of(host)
        if address is None:
            return None, None
        found = str(address), port
        if not trusted(address):
            return found
    return found


def _split(entry: str) -> tuple[str, int | None]:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    else:
        host, port = entry, ""
    usable = port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536
    return host, int(port) if usable else None


def prefix(address: str) -> bytes | None:
    """What the addresses of one customer have in common: an IPv4 /24, an IPv6 /48."""
    found = address_of(address)
    if found is None:
        return None
    return found.packed[:_SHARED_V4 if found.version == 4 else _SHARED_V6]


def pseudonym(salt: bytes, address: str) -> bytes | None:
    """What stands for an address's prefix where users are counted apart and limited.

    With the salt gone nobody can join it with another day's, or try out the addresses there are.
    """
    shared = prefix(address)
    return None if shared is None else hmac.digest(salt, shared, "sha256")[:PSEUDONYM_BYTES]


def month_name(unix_ms: int) -> str:
    """The UTC month that holds this time, as keys are named by: `2026-11`."""
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m}"


def month_ended_ms(name: str) -> int:
    """When the month of this name is over; raises ValueError for no name of a month."""
    start = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
    return next_month(month_of(int(start.timestamp()) * 1000))


class Prefixes:
    """How many prefixes of addresses each key was used from within a UTC day.

    Only pseudonyms under the day's salt are held, and no longer than the day; `dice(n)` gives n
    random bytes. What is beyond `PREFIXES_MAX` of a key is not told apart.
    """

    __slots__ = ("_dice", "_day", "_salt", "_found")

    def __init__(self, dice: Callable[[int], bytes]) -> None:
        self._dice = dice
        self._day = -1
        self._salt = b""
        self._found: dict[str, set[bytes]] = {}

    def salt(self, now_ms: int) -> bytes:
        """The day's salt; that of the day before is gone."""
        day = now_ms // DAY_MS
        if day != self._day:
            self._day, self._salt = day, self._dice(SALT_BYTES)
            self._found.clear()
        return self._salt

    def note(self, record: NetworkRecord) -> None:
        """Take a record; one of an earlier day than the last one's is left out."""
        if record.address is None or record.at_ms // DAY_MS < self._day:
            return
        name = pseudonym(self.salt(record.at_ms), record.address)
        found = self._found.setdefault(record.key, set())
        if name is not None and len(found) < PREFIXES_MAX:
            found.add(name)

    def counts(self, now_ms: int) -> dict[str, int]:
        """How many there are of each key today."""
        self.salt(now_ms)
        return {key: len(found) for key, found in self._found.items()}
