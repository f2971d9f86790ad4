"""A printed document, before it is a page or a PDF: texts in their places, in one language.

Law: whatever prints it changes no word: what stands on a PDF is what stands on the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing import NamedTuple


class Table(NamedTuple):
    """Rows under heads; `numbers` are the columns that stand to the right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, repr=False)
class Sheet:
    """`parties`: a head and its lines, side by side. `banner`: said loudly, above and below."""

    language: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    parties: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tables: tuple[Table, ...] = ()
    totals: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    banner: str = ""

    def texts(self) -> str:
        """Every text of it."""
        said = [self.title, self.banner, *self.notes]
        for pairs in (self.facts, self.totals):
            said += [part for pair in pairs for part in pair]
        for head, lines in self.parties:
            said += [head, *lines]
        for table in self.tables:
            said += [*table.heads, *(cell for row in table.rows for cell in row)]
        return "\n".join(said)
