"""A transcription as plain text or as subtitles: all of it is text, and nothing is reported.

Models that transcribe are mostly paid by the second of sound, which such a reply does not state:
subtitles say when their last words end, and plain text is taken for speech of a usual pace.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from relayd.core.usage import Beside
from relayd.relay.report import Report, Tap
from relayd.wire.reply_media import BYTES_PER_SECOND
from relayd.wire.replytext import CONTENT, Findings

_MARK_BYTES: Final = 64
"""An end of a cue is shorter, with its arrow."""
# SubRip writes hours and a comma; WebVTT may leave out the hours, and writes a full stop
_END: Final = re.compile(rb"-->[ \t]{1,8}(?:([0-9]{2,4}):)?([0-9]{2}):([0-9]{2})[.,]([0-9]{3})")


class WordsTap(Tap):
    """Counts the text; its report has seconds of sound beside no report of usage."""

    __slots__ = ("_found", "_decoder", "_tail", "_bytes", "_ends")

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = b""
        self._bytes = 0
        self._ends = 0
        """When the last words end, in milliseconds from the beginning."""

    def feed(self, data: bytes) -> bytes:
        """Counts these words; a character that was cut waits for its rest."""
        self._found.text(self._decoder.decode(data), CONTENT)
        self._bytes += len(data)
        joined = self._tail + data
        for hours, minutes, seconds, thousandths in _END.findall(joined):
            whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
            self._ends = max(self._ends, whole * 1000 + int(thousandths))
        self._tail = joined[-_MARK_BYTES:]
        return data

    def finish(self, clean: bool) -> Report:
        """The report."""
        self._tail = b""
        per_second, taken = (1000, self._ends) if self._ends else (BYTES_PER_SECOND, self._bytes)
        seconds = -(-taken // per_second)
        usage = Beside(audio_seconds=seconds) if seconds else None
        return Report(usage, clean, None, not self._found.unreported)
