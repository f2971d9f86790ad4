"""The last canary report: one signed document in the store's directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from relayd.store.backup import write_file
from relayd.store.directory import sync_directory
from relayd.store.transaction import mapped

FILE_NAME: Final = "canary-report.json"


def write(directory: Path, document: bytes) -> None:
    """Puts the document in the place of the last one, whole or not at all."""
    with mapped():
        draft = directory / f".{FILE_NAME}.{secrets.token_hex(8)}"
        try:
            write_file(draft, iter([document]))
            os.replace(draft, directory / FILE_NAME)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(directory)


def read(directory: Path) -> bytes | None:
    """The last document; None where there was never one."""
    try:
        return (directory / FILE_NAME).read_bytes()
    except OSError:
        return None
