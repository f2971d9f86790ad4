"""Adds entries to a price file.

Law: a file is only added to, so that its past, its comments and its order stay; whoever reads it
sees the old one or the new one, whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MODE: Final = 0o644


def add_to_file(path: Path, text: str) -> None:
    """Puts a text at the end of a file, or makes it, in one step. May raise OSError."""
    try:
        before, mode = path.read_text("utf-8").rstrip("\n"), path.stat().st_mode & 0o777
    except FileNotFoundError:
        before, mode = "", _MODE
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(before + "\n\n" + text if before else text)
        file.flush()
        os.fsync(handle)
    draft.replace(path)
