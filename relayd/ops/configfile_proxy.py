"""The egress proxy of a provider in a configuration: its address, its credential, its authorities.

Law: the credential is a reference like every other one, never a part of the address.
"""

from __future__ import annotations

import ssl
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from relayd.core.provider import Proxy
from relayd.ops.configfile_address import is_host, is_near
from relayd.ops.configfile_credential import WAYS, Surroundings, read_credentials
from relayd.ops.configfile_fault import words_of
from relayd.ops.configfile_section import Section

SCHEMES: Final = ("http", "https", "socks5")
PART_BYTES_MAX: Final = 255
"""Of a user's name and of a password (RFC 1929)."""
_EXAMPLE: Final = 'Write for example "socks5://127.0.0.1:1080"'


def read_proxy(table: Section, around: Surroundings) -> Proxy | None:
    """`proxy`, `proxy_credential` and `proxy_ca_file` of a provider."""
    text = table.text("proxy")
    credential = _credential(table, around)
    ca_file = read_ca_file(table, "proxy_ca_file", around)
    if text is None:
        for key in ("proxy_credential", "proxy_ca_file"):
            if table.has(key) and not table.has("proxy"):
                table.fault(key, "has no meaning without proxy", "Leave it out")
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        table.fault("proxy", "is not a URL", _EXAMPLE)
        return None
    if "@" in text:
        table.fault("proxy", "holds user information, and secrets are never literals in this file",
                    "Use the key `proxy_credential`. " + WAYS)
        return None
    if parts.scheme not in SCHEMES or not host or not is_host(host) or not port \
            or parts.path not in ("", "/") or "?" in text or "#" in text:
        table.fault("proxy", "is not the address of a proxy", _EXAMPLE)
        return None
    if credential and parts.scheme != "https" and not is_near(host):
        table.warning("proxy_credential", "travels readable to the proxy",
                      "Use https:// where the proxy can do it")
    if ca_file is not None and parts.scheme != "https":
        table.warning("proxy_ca_file", "has no effect: the proxy is not reached over TLS")
    scheme = cast(Literal["http", "https", "socks5"], parts.scheme)
    return Proxy(scheme, host, port, credential, ca_file)


def _credential(table: Section, around: Surroundings) -> str:
    value = table.raw("proxy_credential")
    if isinstance(value, list):
        table.fault("proxy_credential", "is a list", "It takes one reference")
        return ""
    found = read_credentials(value, (*table.path, "proxy_credential"), around, table.findings)
    if not found:
        return ""
    parts = found[0].partition(":")
    if not parts[1] or not all(0 < len(part) <= PART_BYTES_MAX for part in parts):
        table.fault("proxy_credential", "does not refer to a name and a password",
                    "One line: NAME:PASSWORD, each of at most 255 characters")
        return ""
    return found[0]


def read_ca_file(table: Section, key: str, around: Surroundings) -> str | None:
    """The absolute path of a PEM file with authorities; None where the key is absent."""
    text = table.text(key)
    if text is None:
        return None
    path = around.file(text)
    if around.secrets != "skip":
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            table.fault(key, f"cannot be used ({words_of(error)})",
                        "A PEM file with the certificates of authorities to trust")
    return str(path)
