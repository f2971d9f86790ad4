"""Starts a program as its unit file would: `python -m tests.fakes.confined UNIT PROGRAM ...`.

Of the unit it takes what the kernel alone can enforce, and installs it as systemd does, by
libseccomp: SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute, NoNewPrivileges.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ALLOW = 0x7FFF0000
DENY = 0x00050000 | errno.EPERM
EQUAL, MASKED_EQUAL = 4, 7
NO_NEW_PRIVILEGES = 38
MEMORY_CALLS = frozenset({"mmap", "mprotect", "pkey_mprotect"})
"""Calls that can make memory executable, by their third argument."""


class Argument(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("number", ctypes.c_uint), ("compare", ctypes.c_int),
                ("first", ctypes.c_uint64), ("second", ctypes.c_uint64))


def service(unit: Path) -> dict[str, list[str]]:
    """The lines of [Service], by name: systemd's files repeat keys, so no parser of INI fits."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line[:1] not in ("#", ""):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def group(name: str) -> Iterator[str]:
    """The calls of a group such as @system-service, as this machine's systemd has it."""
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], check=True, text=True,
        capture_output=True).stdout
    for line in text.splitlines()[1:]:
        word = line.strip().partition(" ")[0]
        if word.startswith("@"):
            yield from group(word)
        elif word and not word.startswith("#"):
            yield word


def allowed(lines: list[str]) -> set[str]:
    """The calls that SystemCallFilter lines leave: the first one says that it is an allow list."""
    calls = set(group("@default"))
    for line in lines:
        words = line.removeprefix("~").split()
        named = {call for word in words for call in (group(word) if word[0] == "@" else [word])}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


class Filter:
    """An allow list of libseccomp."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(DENY)))

    def allow(self, call: str, *arguments: Argument) -> bool:
        """False where this kernel's architecture has no such call."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        made = (Argument * len(arguments))(*arguments)
        return number >= 0 and 0 == self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(ALLOW), number, len(arguments), made)

    def load(self) -> None:
        """From now on, for this process and all that it starts."""
        if self._library.seccomp_load(self._context):
            raise OSError("the filter cannot be loaded")


def build(settings: dict[str, list[str]]) -> tuple[Filter, int]:
    """The filter of a unit's settings, and how many calls it allows."""
    made = Filter()
    calls = allowed(settings["SystemCallFilter"])
    families = settings["RestrictAddressFamilies"][0].split()
    count = sum(made.allow(call) for call in calls - {"socket", *MEMORY_CALLS})
    for family in families:
        made.allow("socket", Argument(0, EQUAL, getattr(socket, family), 0))
    assert settings["MemoryDenyWriteExecute"] == ["yes"]
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    for bits in (0, mmap.PROT_WRITE, mmap.PROT_EXEC):
        made.allow("mmap", Argument(2, MASKED_EQUAL, both, bits))
    for call in ("mprotect", "pkey_mprotect"):
        made.allow(call, Argument(2, MASKED_EQUAL, mmap.PROT_EXEC, 0))
    return made, count


def main(unit: str, *command: str) -> None:
    """Confines this process and becomes the program."""
    settings = service(Path(unit))
    assert settings["NoNewPrivileges"] == ["yes"]
    made, count = build(settings)
    os.umask(int(settings["UMask"][0], 8))
    if ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError("no-new-privileges cannot be set")
    made.load()
    sys.stderr.write(f"confined: {count} calls\n")
    sys.stderr.flush()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
