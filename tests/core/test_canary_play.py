"""What audit-canary sends: every endpoint, every way to fail, and marks in all of it."""

from __future__ import annotations

from relayd.core.canary import RANDOM_BYTES, count, mark_of, needles
from relayd.core.canary_play import ECHO, FAULTS, LARGE_BYTES, Play, Script
from relayd.wire.dialect import ENDPOINTS, target_of
from relayd.wire.http import HeadLimits, read_head

MARK = mark_of(bytes(range(RANDOM_BYTES)))
PLAYS = list(Script("relay.test", "sk-relayd-test", MARK).plays([ECHO], demo=True))
UNREADABLE = {"bad header", "no HTTP", "wrong coding"}


def marks_in(play: Play) -> set[str]:
    return {name for name, _ in count(play.raw + play.after.encode(), needles(MARK))}


def test_every_play_has_marks() -> None:
    assert len({play.name for play in PLAYS}) == len(PLAYS)
    for play in PLAYS:
        assert "identity" in marks_in(play), play.name
    contents = [play for play in PLAYS if {"latin", "han", "emoji"} & marks_in(play)]
    assert len(contents) == len(PLAYS) - 1  # only the bad header has no body
    assert all(MARK.latin not in repr(play) for play in PLAYS)


def test_every_endpoint_is_played() -> None:
    paths = {play.raw.split(b" ", 2)[1].split(b"?")[0].decode() for play in PLAYS
             if not play.failing}
    played = {target.endpoint.operation for path in paths
              if (target := target_of(path, "openai")).endpoint is not None}
    assert played == {endpoint.operation for endpoint in ENDPOINTS} | {"realtime"}


def test_streaming_and_not_uploads_and_faults() -> None:
    names = [play.name for play in PLAYS]
    assert {play.manner for play in PLAYS} == {"whole", "half", "leave", "socket"}
    for model in FAULTS:
        assert sum(f"({model})" in name for name in names) == 9
    assert not any(model in name for model in FAULTS for name in [
        play.name for play in Script("h", "k", MARK).plays(["m", "n"], demo=False)])


def test_heads_are_sound_where_they_shall_be() -> None:
    for play in PLAYS:
        if play.name in UNREADABLE:
            continue
        raw, _, body = play.raw.partition(b"\r\n\r\n")
        head = read_head(raw + b"\r\n\r\n", HeadLimits(32_768, 100, 8192))
        assert head.content_length in (len(body), LARGE_BYTES, None), play.name
