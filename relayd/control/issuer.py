"""Who issues fapiao: by hand, or a partner that does.

Law: an issuer is handed what was applied for and gives back files, at once or later; whatever it
gives is verified like a file that a person brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from relayd.core.fapiao import Fapiao, FileFormat


class IssuedFile(NamedTuple):
    """One file of an issued fapiao."""

    format: FileFormat
    content: bytes


class Issuer(Protocol):
    """Issues fapiao. The id of an application is its key: asking twice is asking once."""

    async def issue(
        self, made: Fapiao, seller: Mapping[str, str], blue: Fapiao | None, now_ms: int,
    ) -> list[IssuedFile]:
        """The files of a fapiao, or none: they come later. `blue`: what a red one takes back.

        Raises `partner_failed` where the issuer cannot be reached.
        """


class ByHand:
    """The bookkeeper issues it in the tax bureau's pages, and brings the file."""

    async def issue(
        self, made: Fapiao, seller: Mapping[str, str], blue: Fapiao | None, now_ms: int,
    ) -> list[IssuedFile]:
        """None at once."""
        return []
