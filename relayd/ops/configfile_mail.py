"""`[mail]` and `[console]`: the mail server, and how people reach the pages.

Law: mail leaves this machine over TLS alone, with the server's certificate verified.
"""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import Final, Literal, cast

from relayd.core.account import check_email
from relayd.core.errors import RelayError
from relayd.ops.config import ConsoleConfig, MailConfig
from relayd.ops.configfile_address import is_loopback, parse_listen
from relayd.ops.configfile_credential import Surroundings, read_credentials
from relayd.ops.configfile_proxy import read_ca_file
from relayd.ops.configfile_section import Section

AGE_FLOOR: Final = 13
"""Nobody younger is served, whatever the configuration says."""
_URL: Final = re.compile(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
"""An origin as browsers and mail headers write it: a name in other letters stands as xn--."""
_MAIL: Final = MailConfig()
_CONSOLE: Final = ConsoleConfig()


def read_mail(section: Section, around: Surroundings) -> MailConfig:
    """`[mail]`; without `host` nothing is sent."""
    host = section.text("host") or ""
    found = read_credentials(
        section.raw("credential"), (*section.path, "credential"), around, section.findings)
    config = MailConfig(
        host=host,
        port=section.integer("port", _MAIL.port, 1, 65535),
        tls=cast(Literal["starttls", "tls", "none"],
                 section.choice("tls", ("starttls", "tls", "none"), _MAIL.tls)),
        user=section.text("user") or "", credential=found[0] if found else "",
        ca_file=read_ca_file(section, "ca_file", around),
        sender=_address(section, "from"), reply_to=_address(section, "reply_to"),
        processor=section.text("processor") or "")
    _judge(section, config)
    section.done({"server": "host", "password": "credential", "username": "user",
                  "sender": "from"})
    return config


def _judge(section: Section, config: MailConfig) -> None:
    if config.host and not config.sender:
        section.fault("from", "is missing", 'Such as from = "Relay <no-reply@example.org>"')
    if config.host and config.tls == "none" and not is_loopback(config.host):
        section.fault("tls", "is off, and the server is not on this machine",
                      "Mail holds links that open accounts: use starttls or tls")
    if isinstance(section.raw("credential"), list):
        section.fault("credential", "is a list", "A mail server takes one password")
    if not config.host and len(section.values) > 0 and section.values.keys() - {"port", "tls"}:
        section.fault("host", "is missing", "The name of the mail server")


def _address(section: Section, name: str) -> str:
    """A mailbox, with or without a name for people."""
    text = section.text(name)
    if text is None:
        return ""
    try:
        check_email(parseaddr(text)[1])
    except RelayError:
        section.fault(name, "is not an address",
                      'Such as "no-reply@example.org" or "Relay <no-reply@example.org>"')
        return ""
    return text


def read_console(section: Section) -> ConsoleConfig:
    """`[console]` besides its address."""
    return ConsoleConfig(
        _origin(section, "url", "Such as https://console.example.org, no path"),
        _origin(section, "relay_url", "Such as https://relay.example.org, no path"),
        cast(Literal["closed", "open"],
             section.choice("registration", ("closed", "open"), _CONSOLE.registration)),
        section.integer("minimum_age", _CONSOLE.minimum_age, AGE_FLOOR, 21))


def _origin(section: Section, name: str, advice: str) -> str:
    url = section.text(name) or ""
    match = _URL.fullmatch(url.removesuffix("/"))
    if url and match is None:
        section.fault(name, "is not an origin", advice)
        return ""
    if match and match[1] == "http" and not is_loopback(match[2].strip("[]")):
        section.fault(name, "is in clear text", "Over networks it is reached over https")
        return ""
    return url.removesuffix("/")


def console_url(config: ConsoleConfig, listen: str) -> str:
    """Where links in mails lead: `url`, or the listener itself."""
    if config.url:
        return config.url
    address = parse_listen(listen)
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{address.port}" if address.kind == "tcp" else "http://localhost"
