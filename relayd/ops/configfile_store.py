"""`[store]` of a configuration: where the store is, and its master key if that is kept elsewhere.

Law: the master key is a reference like any other credential. Commands that need the store alone
follow it too; where it cannot be followed there, the store says that its master key is missing.
"""

from __future__ import annotations

import base64
import binascii
import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from relayd.ops.config import MasterKey, StoreConfig
from relayd.ops.configfile_credential import Surroundings, read_credentials
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section

MASTER_KEY_BYTES: Final = 32
KEYS_NAME: Final = "keys.db"
MASTER_NAME: Final = "master.key"
"""Names of the store's files, as store/keyring.py and store/master.py have them."""
_ALIASES: Final = {"directory": "path", "dir": "path", "file": "path", "key": "master_key",
                   "master": "master_key"}


def read_store(section: Section, around: Surroundings) -> StoreConfig:
    """The table."""
    default = StoreConfig()
    text = section.text("path", default.path) or default.path
    config = StoreConfig(
        str(around.file(text)), section.boolean("shared", default.shared),
        section.integer("journal_bytes_max", default.journal_bytes_max, 1024 * 1024, 10 ** 15),
        _master_key(section, around))
    section.done(_ALIASES)
    _judge_directory(section, Path(config.path))
    if config.master_key is None:
        _judge_files(section, Path(config.path))
    return config


def _master_key(section: Section, around: Surroundings) -> MasterKey | None:
    value = section.raw("master_key")
    if value is None:
        return None
    if isinstance(value, list):
        section.fault("master_key", "is a list", "There is one master key")
        return None
    lenient = around.secrets == "skip"
    findings = Findings({}) if lenient else section.findings
    around = replace(around, secrets="resolve") if lenient else around
    found = read_credentials(value, (*section.path, "master_key"), around, findings)
    name = value.get("file") if isinstance(value, dict) else None
    file = str(around.file(name)) if isinstance(name, str) else None
    if found and master_key_bytes(found[0]) is None:
        findings.fault((*section.path, "master_key"), "is not a key of 32 bytes in hex or base64",
                       "Make one: openssl rand -hex 32")
    return MasterKey(found[0] if found else "", file)


def master_key_bytes(text: str) -> bytes | None:
    """32 bytes in hex or in base64; None where the text is neither."""
    with suppress(ValueError):
        found = bytes.fromhex(text)
        if len(found) == MASTER_KEY_BYTES:
            return found
    with suppress(ValueError, binascii.Error):
        found = base64.b64decode(text, validate=True)
        if len(found) == MASTER_KEY_BYTES:
            return found
    return None


def _judge_directory(section: Section, store: Path) -> None:
    """What no start could make a directory of; where we may not look nothing is said."""
    try:
        found = next((each for each in (store, *store.parents) if each.exists()), store)
        wrong = found.exists() and not found.is_dir()
    except OSError as error:
        wrong = error.errno == errno.ENAMETOOLONG
    if wrong:
        section.fault("path", "is too long, a file, or in one", "The store is a directory")


def _judge_files(section: Section, store: Path) -> None:
    """Says in time that a start will be refused."""
    with suppress(OSError):
        if (store / KEYS_NAME).exists() and not (store / MASTER_NAME).exists():
            section.warning("path", f"has {KEYS_NAME} and no {MASTER_NAME}: relayd will not start",
                            f"Put {MASTER_NAME} back, or name its place in master_key")
