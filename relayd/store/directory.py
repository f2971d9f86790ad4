"""The store's directory and files: only their owner may read them.

Law: a new directory has mode 0700, a file 0600; a directory that others may write to is refused,
because they could put files of their own in the store's place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from relayd.core.errors import RelayError

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS_WRITE: Final = 0o022
_OTHERS: Final = 0o077


class StoreError(RelayError):
    """The store failed: one of the table's `store_...` rows. Carries no SQL and no values.

    `why`: what the system says of it, for the operator alone; "" where it says no more.
    """

    why = ""

    @property
    def sentence(self) -> str:
        """For the operator."""
        message = self.kind.message
        return f"{message.removesuffix('.')}: {self.why}." if self.why else message


def prepare(directory: Path) -> None:
    """Make the directory if it is missing; raise StoreError if others could write to it."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & _OTHERS_WRITE:
        raise StoreError("store_open_to_others")


def private_file(path: Path) -> None:
    """Make an empty file with mode 0600 if it is missing, and close it to others if it is not.

    A file that root makes in another user's directory is given to that user: the daemon must be
    able to open what an operator's first command made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        found = os.fstat(handle)
        if stat.S_IMODE(found.st_mode) & _OTHERS:
            os.fchmod(handle, FILE_MODE)
        give_to_owner(handle, path.parent)
    finally:
        os.close(handle)


def give_to_owner(handle: int, directory: Path) -> None:
    """Let an open file belong to the directory's owner, where the caller is root."""
    owner = directory.stat()
    if os.geteuid() == 0 and os.fstat(handle).st_uid != owner.st_uid:
        os.fchown(handle, owner.st_uid, owner.st_gid)


def sync_directory(directory: Path) -> None:
    """Names that were given in a directory are on disk when this returns."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
