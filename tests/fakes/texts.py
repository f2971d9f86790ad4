"""A text sink that keeps what it is given, to compare."""

from __future__ import annotations

from relayd.wire.replytext import KINDS


class Texts:
    """Joins the pieces of each of a reply's texts."""

    def __init__(self) -> None:
        self.streams: dict[int, str] = {}

    def add(self, text: str, stream: int = 0) -> None:
        assert text and isinstance(text, str)
        self.streams[stream] = self.streams.get(stream, "") + text

    def kind(self, kind: int) -> str:
        """All texts of one kind, in the order of their indices."""
        return "".join(
            self.streams[stream] for stream in sorted(self.streams) if stream % KINDS == kind)
