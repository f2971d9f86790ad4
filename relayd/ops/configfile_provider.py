"""`[providers.NAME]` of a configuration: one Provider each, with its credentials resolved.

Law: what is wrong is a fault here, at start, and not an error of the first call.
"""

from __future__ import annotations

import re
from typing import Final, cast

from relayd.core.provider import (
    CLIENT_CLOSES, Address, ClientClose, Provider, ProviderApi, Timeouts,
)
from relayd.ops.configfile_address import is_loopback, is_near, parse_base_url, path_verdict
from relayd.ops.configfile_credential import WAYS, Surroundings, read_credentials
from relayd.ops.configfile_proxy import read_ca_file, read_proxy
from relayd.ops.configfile_section import Section, kind_of
from relayd.ops.configfile_terms import read_terms
from relayd.ops.terms import terms_of

APIS: Final[tuple[ProviderApi, ...]] = ("openai", "azure", "anthropic", "gemini")
BASE_URLS: Final = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://NAME.openai.azure.com/openai/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
DAY: Final = 86_400.0
HEADERS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 4096
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
RESERVED: Final = frozenset({"none", "other"})
"""Names that metrics use for "no provider"."""

_ALIASES: Final = {
    "api_key": "credential", "apikey": "credential", "key": "credential", "token": "credential",
    "secret": "credential", "credentials": "credential", "url": "base_url", "endpoint": "base_url",
    "api_base": "base_url", "type": "api", "kind": "api", "timeout": "timeouts",
    "org": "organization",
}
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SECRET_FIELDS: Final = frozenset({
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization",
})
_RELAY_FIELDS: Final = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding",
    "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "accept-encoding", "accept",
    "proxy-connection",
})
_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


def read_providers(section: Section, around: Surroundings) -> dict[str, Provider]:
    """Every provider by its name; those with faults are there too, so that routes find them."""
    found: dict[str, Provider] = {}
    for name in section.values:
        table = section.table(name)
        if not NAME.fullmatch(name) or name in RESERVED:
            section.fault(name, "cannot be a provider's name",
                          "At most 63 letters, digits and ._- ; not none or other")
        found[name] = _provider(name, table, around)
    return found


def _provider(name: str, table: Section, around: Surroundings) -> Provider:
    if not table.has("api"):
        table.fault("api", "is missing", f"One of {', '.join(APIS)}: the API that is spoken")
    api = cast(ProviderApi, table.choice("api", APIS, "openai"))
    api_version = _token(table, "api_version", api == "azure")
    address = _address(table, api, api_version is not None)
    provider = Provider(
        name=name, api=api, address=address,
        credentials=_credentials(table, address, around),
        headers=_headers(table.table("headers")),
        proxy=read_proxy(table, around),
        on_client_close=cast(ClientClose, table.choice(
            "on_client_close", CLIENT_CLOSES, "cancel")),
        timeouts=_timeouts(table.table("timeouts")),
        api_version=api_version,
        organization=_token(table, "organization", api == "openai"),
        project=_token(table, "project", api == "openai"),
        stream_usage=table.boolean("stream_usage", True),
        ca_file=_ca_file(table, address, around),
        connections_max=table.integer("connections_max", 1024, 1, 1_000_000),
        probe_seconds=_probe_seconds(table),
        overseas=table.boolean("overseas", False),
        terms=read_terms(table, terms_of(address.host)),
    )
    table.done(_ALIASES)
    return provider


def _address(table: Section, api: ProviderApi, versioned: bool) -> Address:
    fallback = Address("https", "invalid", 443, "")
    text = table.text("base_url")
    if text is None:
        if not table.has("base_url"):
            table.fault("base_url", "is missing", f"For {api} for example {BASE_URLS[api]}")
        return fallback
    try:
        address = parse_base_url(text)
    except ValueError as error:
        table.fault("base_url", str(error), f"For {api} for example {BASE_URLS[api]}")
        return fallback
    verdict = path_verdict(api, address, versioned)
    if verdict is not None:
        (table.fault if verdict.fatal else table.warning)(
            "base_url", verdict.problem, verdict.remedy)
    if address.scheme == "http" and not is_near(address.host):
        table.warning("base_url", "is http: the credential and all content travel readable",
                      "Use https")
    return address


def _credentials(table: Section, address: Address, around: Surroundings) -> tuple[str, ...]:
    value = table.raw("credential")
    if value is None and not is_loopback(address.host) and not is_near(address.host):
        table.warning("credential", "is missing: calls will carry no credential", WAYS)
    return read_credentials(value, (*table.path, "credential"), around, table.findings)


def _headers(table: Section) -> tuple[tuple[str, str], ...]:
    fields: dict[str, str] = {}
    for name in table.values:
        value = table.raw(name)
        lower = name.lower()
        problem, remedy = _header_problem(lower, value)
        if not problem and lower in fields:
            problem = "is listed twice"
        if problem:
            table.fault(name, problem, remedy)
        elif isinstance(value, str):
            fields[lower] = value
    if len(fields) > HEADERS_MAX:
        table.findings.fault(table.path, f"has more than {HEADERS_MAX} headers")
    return tuple(fields.items())


def _header_problem(name: str, value: object) -> tuple[str, str]:
    if not _FIELD_NAME.fullmatch(name):
        return "is not a header name", ""
    if name in _SECRET_FIELDS:
        return "carries a credential, and secrets are never literals in this file", \
            "Use the key `credential`. " + WAYS
    if name in _RELAY_FIELDS:
        return "is set by the relay itself", "Leave it out"
    if not isinstance(value, str):
        return f"is {kind_of(value)}", "It takes a text"
    if len(value) > HEADER_BYTES_MAX or not _FIELD_VALUE.fullmatch(value):
        return "has a value that a header cannot carry", "ASCII without control characters"
    return "", ""


def _timeouts(table: Section) -> Timeouts:
    default = Timeouts()
    found = Timeouts(
        connect=table.number("connect", default.connect, 0.01, 300.0),
        first_byte=table.number("first_byte", default.first_byte, 0.01, DAY),
        idle=table.number("idle", default.idle, 0.01, DAY),
        total=table.number("total", default.total, 0.0, DAY),
    )
    table.done({"read": "first_byte", "ttfb": "first_byte"})
    return found


def _probe_seconds(table: Section) -> float:
    found = table.number("probe_seconds", 0.0, 0.0, DAY)
    if 0.0 < found < 1.0:
        table.fault("probe_seconds", "is too often", "Write 0 (off), or at least 1")
    return found


def _token(table: Section, key: str, meant: bool) -> str | None:
    text = table.text(key)
    if text is None:
        return None
    if not meant:
        table.fault(key, "has no meaning for a provider of this api", "Leave it out")
    elif not _TOKEN.fullmatch(text):
        table.fault(key, "may hold letters, digits, dot, dash and underscore only")
    else:
        return text
    return None


def _ca_file(table: Section, address: Address, around: Surroundings) -> str | None:
    if table.has("ca_file") and address.scheme == "http":
        table.warning("ca_file", "has no effect: base_url is http")
    return read_ca_file(table, "ca_file", around)
