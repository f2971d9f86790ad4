"""Adds entries to a price file.

Law: a file is only added to, so that its past, its comments and its order stay; whoever reads it
sees the old one or the new one, whole. It stays its owner's and of its mode: the daemon reads it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_MODE: Final = 0o644


def add_to_file(path: Path, text: str) -> None:
    """Puts a text at the end of a file, or makes it, in one step. May raise OSError."""
    path = path.resolve()  # a link stays one
    try:
        before, known = path.read_text("utf-8").rstrip("\n"), path.stat()
    except FileNotFoundError:
        before, known = "", None
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if known is not None:
            with suppress(PermissionError):  # who is not root gives nothing to others
                os.fchown(handle, known.st_uid, known.st_gid)
            os.fchmod(handle, known.st_mode & 0o777)
        file.write(before + "\n\n" + text if before else text)
        file.flush()
        os.fsync(handle)
    draft.replace(path)
