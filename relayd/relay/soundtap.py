"""Speech as a sound file: nothing is reported, and how long it is says what it costs.

Models that speak are paid by the sound they make, in tokens or seconds.
"""

from __future__ import annotations

from relayd.core.usage import Beside, Usage
from relayd.relay.report import Report, Tap
from relayd.wire.sound import Sound


class SoundTap(Tap):
    """Its report has the seconds that passed beside no report of usage."""

    __slots__ = ("_sound",)

    def __init__(self) -> None:
        self._sound = Sound()

    def feed(self, data: bytes) -> bytes:
        """Looks at the heads in these bytes."""
        self._sound.feed(data)
        return data

    def finish(self, clean: bool) -> Report:
        """The report."""
        return Report(self.usage_so_far(), clean, None, True)

    def usage_so_far(self) -> Usage | None:
        """How long it is up to here."""
        seconds = self._sound.seconds()
        return Beside(audio_seconds=seconds) if seconds else None
