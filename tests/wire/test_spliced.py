"""What stands for elements: each by itself, or as they follow each other."""

from __future__ import annotations

import json

import msgspec
import pytest

from relayd.wire.spliced import Run, Spliced, one_by_one, spliced


def test_the_elements_of_a_run_are_its_own() -> None:
    run = Run(memoryview(b'{"a":1},2,"x,y"'), (1, 2, 3), (7, 1, 5), 9)
    found = [(one.text, one.tag, one.value()) for one in run.elements()]
    assert found == [(b'{"a":1}', 1, {"a": 1}), (b"2", 2, 2), (b'"x,y"', 3, "x,y")]
    assert json.loads(b"[%b]" % bytes(run.text)) == [value for _, _, value in found]


def test_a_list_one_by_one() -> None:
    run = Run(b"1,2", (3, 4), (1, 1), 9)
    assert [getattr(one, "tag", one) for one in one_by_one([0, run, run, {}])] == [
        0, 3, 4, 3, 4, {}]
    others: list[object] = [None, "text", {"a": 1}, 7, []]
    assert [list(one_by_one(other)) for other in others] == [[]] * len(others)


def test_only_elements_are_written_so() -> None:
    encode = msgspec.json.Encoder(enc_hook=spliced).encode
    run = Run(memoryview(b"1,2"), (3, 4), (1, 1), 9)
    assert encode({"a": [run, Spliced(b"3", 1), 4]}) == b'{"a":[1,2,3,4]}'
    with pytest.raises(TypeError) as caught:
        spliced({"canary"})
    assert "canary" not in str(caught.value)


def test_a_repr_says_nothing() -> None:
    assert repr(Spliced(b"canary", 1)) == "Spliced(...)"
    assert repr(Run(b"canary", (1,), (6,), 1)) == "Run(...)"
