"""Credentials of a configuration: references that are followed here, never literals.

Law: no fault, no repr and no exception holds a secret or a part of one; a file that everybody on
the machine may read is no secret and is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final, Literal

from relayd.ops.configfile_fault import Findings, Path, words_of
from relayd.ops.configfile_section import kind_of
from relayd.ops.readfile import read_file

Secrets = Literal["resolve", "examine", "skip"]
"""resolve: for serving. examine: the same, but a systemd credential outside the service is only a
warning. skip: the form is checked and nothing is followed (commands that need the store alone)."""

WAYS: Final = ('Give it as { env = "NAME" }, { file = "/path" } or { systemd = "NAME" }'
               " (LoadCredential= in the unit)")
CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
CREDENTIALS: Final = FilePath("/run/credentials")
"""Where systemd keeps those of each unit, in a folder of its name, while it runs."""
START: Final = "Start relayd from a unit that has LoadCredential= for it"
CREDENTIAL_BYTES_MAX: Final = 8192
_WORLD: Final = 0o006
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYSTEMD_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}")
_USABLE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file's references are resolved in. `folder` is where relative paths start."""

    environ: Mapping[str, str] = field(repr=False)
    folder: FilePath
    secrets: Secrets = "resolve"

    def file(self, text: str) -> FilePath:
        """A path of the file: relative ones start at the configuration file's own folder."""
        return self.folder / text

    @property
    def outside(self) -> bool:
        """Whether the service is looked at from outside, where its credentials may not be."""
        return self.secrets == "examine" and CREDENTIALS_DIRECTORY not in self.environ

    def absent(self, path: FilePath) -> bool:
        """Whether it is a credential of a unit that does not run: systemd lays it there only then.
        """
        folder = path.parent
        return self.outside and folder.parent == CREDENTIALS and not os.path.isdir(folder)


class _Missing(Exception):
    """A reference that cannot be followed; args are (problem, remedy)."""


def read_credentials(
    value: object, path: Path, around: Surroundings, findings: Findings,
) -> tuple[str, ...]:
    """The secrets that `credential` refers to, in order; a list rotates. Empty with "skip"."""
    if value is None:
        return ()
    references = value if isinstance(value, list) else [value]
    if not references:
        findings.fault(path, "is an empty list", WAYS)
    found: list[str] = []
    for index, reference in enumerate(references):
        where = (*path, index) if isinstance(value, list) else path
        secret = _one(reference, where, around, findings)
        if secret is not None and secret in found:
            findings.fault(where, "is the same credential as an earlier one of the list")
        elif secret is not None:
            found.append(secret)
    return tuple(found)


def read_pem(value: object, path: Path, around: Surroundings, findings: Findings) -> str:
    """The PEM text that a reference to a file or a systemd credential leads to; empty with "skip".
    """
    return _one(value, path, around, findings, _PEM_READERS) or ""


def _one(
    value: object, path: Path, around: Surroundings, findings: Findings,
    readers: Mapping[str, Callable[[str, Surroundings], str | None]] | None = None,
) -> str | None:
    readers = _READERS if readers is None else readers
    if isinstance(value, str):
        findings.fault(path, "is a literal, and secrets are never literals in this file", WAYS)
        return None
    if not isinstance(value, dict):
        findings.fault(path, f"is {kind_of(value)}", WAYS)
        return None
    if len(value) != 1 or not value.keys() <= readers.keys():
        words = "env, file and systemd" if "env" in readers else "file and systemd"
        findings.fault(path, f"is not a reference with exactly one of {words}", WAYS)
        return None
    [(way, name)] = value.items()
    if not isinstance(name, str) or not name or "\0" in name:
        findings.fault((*path, way), "is not a name", WAYS)
        return None
    try:
        return readers[way](name, around)
    except _Missing as missing:
        problem, remedy = missing.args
        outside = way == "systemd" and around.outside
        (findings.warning if outside else findings.fault)((*path, way), problem, remedy)
        return None


def _from_env(name: str, around: Surroundings) -> str | None:
    if not _ENV_NAME.fullmatch(name):
        raise _Missing("is not the name of an environment variable",
                       "A secret itself does not go here: give the variable's name")
    if around.secrets == "skip":
        return None
    value = around.environ.get(name)
    if value is None:
        raise _Missing("names an environment variable that is not set",
                       "Set it for this command too, as for the service")
    return _usable(value, "the variable")


def _from_file(name: str, around: Surroundings) -> str | None:
    if around.secrets == "skip":
        return None
    return _usable(_file_text(around.file(name)), "the file")


def _pem_file(name: str, around: Surroundings) -> str | None:
    return None if around.secrets == "skip" else _pem(_file_text(around.file(name)))


def _from_systemd(name: str, around: Surroundings) -> str | None:
    text = _systemd_text(name, around)
    return None if text is None else _usable(text, "the file")


def _pem_systemd(name: str, around: Surroundings) -> str | None:
    text = _systemd_text(name, around)
    return None if text is None else _pem(text)


def _systemd_text(name: str, around: Surroundings) -> str | None:
    if not _SYSTEMD_NAME.fullmatch(name):
        raise _Missing("is not the name of a systemd credential",
                       "Give the name that LoadCredential= has before the colon")
    if around.secrets == "skip":
        return None
    folder = around.environ.get(CREDENTIALS_DIRECTORY)
    if not folder:
        raise _Missing("can be read inside the service only: $CREDENTIALS_DIRECTORY is not set",
                       START)
    return _file_text(FilePath(folder) / name)


_READERS: Final = {"env": _from_env, "file": _from_file, "systemd": _from_systemd}
_PEM_READERS: Final = {"file": _pem_file, "systemd": _pem_systemd}


def _file_text(path: FilePath) -> str:
    try:
        data, mode = read_file(path, CREDENTIAL_BYTES_MAX + 1)
    except OSError as error:
        raise _Missing(f"names a file that cannot be read ({words_of(error)})",
                       "Check its path and its mode") from None
    if mode & _WORLD:
        raise _Missing("names a file that every user of this machine may read or write",
                       "chmod 0600 it, and replace the credential if others could have read it")
    return data.decode("latin-1")


def _pem(text: str) -> str:
    if not text.lstrip().startswith("-----BEGIN ") or len(text) > CREDENTIAL_BYTES_MAX:
        raise _Missing("names a file that is not in PEM", "It begins with -----BEGIN")
    return text


def _usable(value: str, where: str) -> str:
    secret = value.strip()
    if not secret:
        raise _Missing(f"refers to nothing: {where} is empty", "")
    if len(secret) > CREDENTIAL_BYTES_MAX or not _USABLE.fullmatch(secret):
        raise _Missing(f"refers to something that cannot be a credential: {where} holds spaces, "
                       "line breaks or characters outside ASCII, or is too long",
                       "Store the credential alone, in one line")
    return secret
