"""`[identity]`: who verifies identities, where people go for that, how its messages are signed.

Law: whoever does it is in the register of third parties (S2), and what it says is believed by its
signature alone.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from relayd.core.verification import FIELDS, PROVIDER
from relayd.ops.config import Config, IdentityConfig
from relayd.ops.configfile_address import is_loopback
from relayd.ops.configfile_credential import Surroundings, read_credentials
from relayd.ops.configfile_section import Section
from relayd.wire.verification import secret_of

KEYS: Final = ("name", "page", "secret", "processor")


def read_identity(section: Section, around: Surroundings) -> IdentityConfig:
    """The whole table; without `name` nobody's identity is verified."""
    name = section.text("name") or ""
    if name and not PROVIDER.fullmatch(name):
        section.fault("name", "is not a short word", "Lower-case letters, digits, _ and -")
    secrets = read_credentials(
        section.raw("secret"), (*section.path, "secret"), around, section.findings)
    config = IdentityConfig(
        name, _page(section), section.text("processor") or "", _keys(section, secrets))
    if section.values:
        for key in KEYS:
            if not section.has(key):
                section.fault(key, "is missing", "Nobody can be sent there without it")
    section.done({"url": "page", "webhook_secret": "secret", "provider": "name"})
    return config


def judge_identity(root: Section, config: Config) -> None:
    """The register says who it is, and that it may be told the reference."""
    if not (config.identity.name and config.identity.processor):
        return
    where = (*root.path, "identity", "processor")
    row = config.operator.processor(config.identity.processor)
    if row is None:
        root.findings.fault(where, "is not in [[operator.processors]]", "Name one of them")
    elif not set(FIELDS) <= set(row.fields):
        root.findings.fault(where, "may not be sent anybody, as the register has it",
                            f"It needs the field {', '.join(FIELDS)}")


def _page(section: Section) -> str:
    text = section.text("page") or ""
    try:
        parts = urlsplit(text)
        safe = parts.scheme == "https" or (
            parts.scheme == "http" and is_loopback(parts.hostname or ""))
        fine = bool(parts.hostname) and safe and not (parts.fragment or parts.username)
    except ValueError:
        fine = False
    if text and not fine:
        section.fault("page", "is not an https address", "Where people show who they are")
        return ""
    return text


def _keys(section: Section, secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    found = []
    for text in secrets:
        try:
            found.append(secret_of(text))
        except ValueError as error:
            section.fault("secret", f"refers to what {error}",
                          "whsec_ and base64, as Standard Webhooks has it")
    return tuple(found)
