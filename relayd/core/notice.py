"""Notices: what is shown on every page for a time and mailed to everybody, and mail to those who
agreed to it.

Law: a notice of a transfer names who receives the data and how to reach them, and stands open for
objections for a while before anything moves (PIPL article 22).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

NoticeKind = Literal["document", "transfer", "service", "product", "marketing"]
MAILED_ONLY: Final[tuple[NoticeKind, ...]] = ("product", "marketing")
"""What goes by mail to those who agreed to it, and stands on no page."""
Answer = Literal["objected", "agreed"]
TRANSFER_DAYS_MIN: Final = 15
"""How long the window for objections is at least."""
NOTICE_FIELDS: Final[dict[NoticeKind, frozenset[str]]] = {
    "document": frozenset(("document", "version", "effective", "summary_en", "summary_zh")),
    "transfer": frozenset(("recipient", "contact", "purpose_en", "purpose_zh")),
    **dict.fromkeys(("service", "product", "marketing"),
                    frozenset(("subject_en", "subject_zh", "text_en", "text_zh"))),
}
MAIL_OF: Final[dict[NoticeKind, str]] = {
    "document": "document_changed", "transfer": "transfer_notice", "service": "service_notice",
    "product": "product_update", "marketing": "marketing",
}
"""The mail that tells of each kind."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. `mailed_to` is the last account whose mail is queued."""

    id: str
    kind: NoticeKind
    fields: dict[str, str]
    starts_at_ms: int
    ends_at_ms: int
    created_at_ms: int
    mailed_to: str = ""
    mailed_at_ms: int | None = None

    def said(self, name: str, language: str) -> str:
        """A field in a language, or the field itself where it has none."""
        return self.fields.get(f"{name}_{language}", self.fields.get(name, ""))

    def open_at(self, now_ms: int) -> bool:
        """Whether it is shown, and may be answered."""
        return self.starts_at_ms <= now_ms < self.ends_at_ms
