"""The last canary report: one signed document in the store's directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from relayd.store.directory import FILE_MODE, give_to_owner
from relayd.store.transaction import mapped

FILE_NAME: Final = "canary-report.json"


def write(directory: Path, document: bytes) -> None:
    """Puts the document in the place of the last one, whole or not at all."""
    with mapped():
        draft = directory / f".{FILE_NAME}.{secrets.token_hex(8)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with open(handle, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(handle)
            give_to_owner(handle, directory)
        os.replace(draft, directory / FILE_NAME)


def read(directory: Path) -> bytes | None:
    """The last document; None where there was never one."""
    try:
        return (directory / FILE_NAME).read_bytes()
    except OSError:
        return None
