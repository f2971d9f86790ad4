"""Speech as a sound file: it passes as it is, and its seconds stand beside no report."""

from __future__ import annotations

import pytest

from relayd.core.usage import Beside
from relayd.demo import media
from relayd.relay.report import Report
from relayd.relay.soundtap import SoundTap


@pytest.mark.parametrize("clean", [True, False])
def test_its_seconds_are_told(clean: bool) -> None:
    tap = SoundTap()
    assert tap.usage_so_far() is None and tap.passes_all
    sound = media.wav(1.2)
    assert tap.feed(sound[:50_000]) == sound[:50_000]
    assert tap.usage_so_far() == Beside(audio_seconds=2)
    tap.feed(sound[50_000:])
    assert tap.flush() == b""
    assert tap.finish(clean) == Report(Beside(audio_seconds=2), clean, None, covers=True)


def test_nothing_has_no_report() -> None:
    assert SoundTap().finish(True) == Report(None, True, None, covers=True)
