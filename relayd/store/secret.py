"""The secret: 32 random bytes in the file `secret` beside the database.

Law: the secret is never used itself, only what is derived from it under a label; it is in no
repr, no log and no backup of the database. A stolen database alone verifies no key.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from relayd.store.directory import FILE_MODE, StoreError, give_to_owner, sync_directory

FILE_NAME: Final = "secret"
SECRET_BYTES: Final = 32
PEPPER_LABEL: Final = "api key digest"
INDEX_LABEL: Final = "blind index"
MARK_LABEL: Final = "store mark"


def derived(secret: bytes, label: str) -> bytes:
    """32 bytes for one purpose: HMAC-SHA256 of the label under the master secret."""
    return hmac.digest(secret, label.encode("utf-8"), "sha256")


def pepper(secret: bytes) -> bytes:
    """The key under which API keys are hashed (`core.key.digest`)."""
    return derived(secret, PEPPER_LABEL)


def mark(secret: bytes) -> str:
    """What a database keeps to recognise its own secret by; says nothing about the secret."""
    return derived(secret, MARK_LABEL)[:8].hex()


def read(directory: Path, name: str = FILE_NAME) -> bytes | None:
    """The secret, or None where there is no file.

    Raises StoreError `store_open_to_others` where others may read it, `store_secret` where it is
    not a file of 32 bytes, `store_permission` where it is another user's.
    """
    path = directory / name
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        error = StoreError("store_permission")
        error.why = f"'{name}'"
        raise error from None
    except OSError:
        raise StoreError("store_secret") from None
    try:
        found = os.fstat(handle)
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise StoreError("store_open_to_others")
        content = os.read(handle, SECRET_BYTES + 1) if stat.S_ISREG(found.st_mode) else b""
    finally:
        os.close(handle)
    if len(content) != SECRET_BYTES:
        raise StoreError("store_secret")
    return content


def read_or_make(directory: Path, name: str = FILE_NAME) -> bytes:
    """The secret, made at first use.

    The file appears whole or not at all: it is written and synced under another name, then linked
    into place, which fails if another process was first; then that process's secret is taken.
    """
    found = read(directory, name)
    if found is not None:
        return found
    draft = directory / f".{name}.{secrets.token_hex(8)}"
    write(draft, secrets.token_bytes(SECRET_BYTES))
    try:
        os.link(draft, directory / name)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    sync_directory(directory)
    made = read(directory, name)
    if made is None:
        raise StoreError("store_secret")
    return made


def write(path: Path, content: bytes) -> None:
    """A new file, mode 0600, of its directory's owner, on disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        # the mode that open() takes is cut by the umask
        os.fchmod(handle, FILE_MODE)
        if os.write(handle, content) != len(content):
            raise StoreError("store_failed")
        os.fsync(handle)
        give_to_owner(handle, path.parent)
    except BaseException:  # on a full disk each start would leave one more
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
