"""Uploads are written anew: the same bytes for all clients that ask the same."""

from __future__ import annotations

import base64
import json
import random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.multipart import BUFFER_BYTES, FIELD_BYTES_MAX, PIECE_BYTES, Upload
from relayd.wire.walk import BodyPolicy as Policy
from tests.shared import shared

MIB = 1024 * 1024
Part = tuple[str, bytes, str | None]  # name, value, further head text or None


class Names:
    """Pseudonyms that can be read."""

    def __init__(self, policy: str) -> None:
        self.policy = policy

    def end_user(self, value: str | None) -> str | None:
        if self.policy == "absent":
            return None
        return f"who-{value[::-1] if value and self.policy == 'enduser' else 'nobody'}"


def form(parts: list[Part], boundary: str = "Client-7") -> bytes:
    lines = []
    for name, value, more in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more or ""}\r\n\r\n'
        lines.append(head.encode() + value + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


def buffered(it: Upload) -> int:
    """How many bytes of content an upload holds, in all that holds any."""
    kept = [*it._fields, *(it._opening or ())]
    return (sum(len(field.value) for field in kept) + len(it._value) + len(it._tail)
            + sum(len(chunk) for file in it._files for chunk in file.chunks)
            + sum(map(len, it._out)) + len(it._reader._buffer))


def upload(operation: str = "transcription", policy: Policy = Policy(),
           boundary: str = "Client-7") -> Upload:
    content_type = f"multipart/form-data; boundary={boundary}".encode()
    return Upload(BY_OPERATION[operation], content_type, policy, "UPSTREAM")


def sent(body: bytes, operation: str = "transcription", policy: Policy = Policy(),
         boundary: str = "Client-7", sizes: tuple[int, ...] = (), model: str = "m",
         names: Names | None = None) -> tuple[list[bytes], Upload]:
    """What goes upstream when the body comes in pieces of these sizes, taken as soon as ready."""
    it = upload(operation, policy, boundary)
    pieces: list[bytes] = []
    at = 0
    for size in [*sizes, len(body)]:
        if at < len(body):
            it.feed(body[at:at + size])
            at += size
            if it.ready:
                pieces += it.take(model, names)
    it.finish()
    pieces += it.take(model, names)
    assert buffered(it) == 0
    return pieces, it


def upstream(parts: list[Part], operation: str = "transcription", policy: Policy = Policy(),
             **more: object) -> str:
    pieces, _ = sent(form(parts), operation, policy, **more)  # type: ignore[arg-type]
    return b"".join(pieces).decode()


WAV = '; filename="my holiday.wav"\r\nContent-Type: audio/x-wav\r\nX-Secret: 1'
SMALL: list[Part] = [
    ("file", b"RIFF\r\n--Client", WAV), ("prompt", b"one\r\ntwo", None), ("model", b"alias", None),
    ("temperature", b"0.0", None), ("stream", b"False", None),
    ("timestamp_granularities[]", b"word", None), ("timestamp_granularities[]", b"segment", None),
    ("chunking_strategy[type]", b"server_vad", None),
    ("chunking_strategy[threshold]", b"0.50", None), ("language", b"en", None),
    ("user", b"alice@example.org", None), ("metadata", b"{}", None), ("x_session", b"77", None),
]
CANONICAL = "".join(
    f'--UPSTREAM\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in [
        ("model", "m"), ("language", "en"), ("prompt", "one\ntwo"), ("temperature", "0"),
        ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"),
        ("chunking_strategy[threshold]", "0.50"), ("chunking_strategy[type]", "server_vad"),
    ]
) + (
    '--UPSTREAM\r\nContent-Disposition: form-data; name="file"; filename="audio.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\nRIFF\r\n--Client\r\n--UPSTREAM--\r\n"
)


def test_a_small_upload_is_written_in_table_order() -> None:
    pieces, it = sent(form(SMALL))
    assert b"".join(pieces).decode() == CANONICAL
    assert it.whole and it.ready and it.finished
    assert (it.model, it.stream) == ("alias", False)
    assert it.dropped == ("metadata", "user", "x_session")


@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 300), max_size=20))
def test_order_of_parts_and_cuts_do_not_show(shuffler: random.Random, sizes: list[int]) -> None:
    lists = [part for part in SMALL if part[0].endswith("[]")]
    rest = [part for part in SMALL if not part[0].endswith("[]")]
    shuffler.shuffle(rest)
    at = shuffler.randint(0, len(rest))
    body = form(rest[:at] + lists + rest[at:], boundary="x" * shuffler.randint(1, 70))
    boundary = body[2:body.index(b"\r\n")].decode()
    pieces, it = sent(body, sizes=tuple(sizes), boundary=boundary)
    assert b"".join(pieces).decode() == CANONICAL
    assert it.whole


PYTHON = (  # as openai-python 3 sends it
    b'--a82343b5b3640c1fd90acd1c0625c286\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    b"whisper-1\r\n--a82343b5b3640c1fd90acd1c0625c286\r\nContent-Disposition: form-data; "
    b'name="language"\r\n\r\nen\r\n--a82343b5b3640c1fd90acd1c0625c286\r\nContent-Disposition: '
    b'form-data; name="prompt"\r\n\r\none\ntwo\r\n--a82343b5b3640c1fd90acd1c0625c286\r\n'
    b'Content-Disposition: form-data; name="temperature"\r\n\r\n0.0\r\n'
    b'--a82343b5b3640c1fd90acd1c0625c286\r\nContent-Disposition: form-data; name="file"; '
    b'filename="speech.wav"\r\nContent-Type: audio/x-wav\r\n\r\nRIFF\r\n'
    b"--a82343b5b3640c1fd90acd1c0625c286--\r\n"
)
NODE = (  # as fetch() of Node.js sends FormData for openai-node, the file named first
    b"------formdata-undici-087605881015\r\nContent-Disposition: form-data; name=\"file\"; "
    b'filename="speech.wav"\r\nContent-Type: application/octet-stream\r\n\r\nRIFF\r\n'
    b'------formdata-undici-087605881015\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    b"whisper-1\r\n------formdata-undici-087605881015\r\nContent-Disposition: form-data; "
    b'name="language"\r\n\r\nen\r\n------formdata-undici-087605881015\r\nContent-Disposition: '
    b'form-data; name="prompt"\r\n\r\none\r\ntwo\r\n------formdata-undici-087605881015\r\n'
    b'Content-Disposition: form-data; name="temperature"\r\n\r\n0\r\n'
    b"------formdata-undici-087605881015--\r\n"
)


def test_the_sdks_of_python_and_node_look_alike() -> None:
    python, _ = sent(PYTHON, boundary="a82343b5b3640c1fd90acd1c0625c286")
    node, _ = sent(NODE, boundary="----formdata-undici-087605881015")
    assert python == node


def large(megabytes: float, *, before: list[Part], after: list[Part]) -> bytes:
    content = random.Random(1).randbytes(int(megabytes * MIB))
    return form([*before, ("file", content, WAV), *after])


MODEL: Part = ("model", b"alias", None)


@pytest.mark.parametrize("sizes", [(), (65536,) * 60, (1000,) * 300, (MIB + 300,), (3 * MIB,)])
def test_a_large_upload_flows_in_pieces_that_do_not_show_the_cuts(sizes: tuple[int, ...]) -> None:
    body = large(2.5, before=[("prompt", b"p", None), MODEL],
                 after=[("stream", b"true", None), ("language", b"en", None)])
    pieces, it = sent(body, sizes=sizes)
    assert not it.whole and it.stream
    assert [len(piece) for piece in pieces[:-1]] == [PIECE_BYTES] * (len(pieces) - 1)
    data = b"".join(pieces)
    names = [data.index(b'name="%b"' % n) for n in
             (b"model", b"prompt", b"file", b"language", b"stream")]
    assert names == sorted(names)
    assert random.Random(1).randbytes(int(2.5 * MIB)) in data
    assert pieces == sent(body)[0]


def test_what_is_held_of_a_flowing_upload_is_bounded() -> None:
    body = large(4, before=[MODEL], after=[])
    it = upload()
    at, highest = 0, 0
    while not it.ready:
        it.feed(body[at:at + 4096])
        at += 4096
        highest = max(highest, buffered(it))
    assert BUFFER_BYTES < highest < BUFFER_BYTES + 8192
    it.take("m")
    assert buffered(it) < PIECE_BYTES
    for at in range(at, len(body), 4096):
        it.feed(body[at:at + 4096])
        it.take("m")
        assert buffered(it) < PIECE_BYTES


def test_a_large_file_before_its_model_gives_the_same_bytes_as_after_it() -> None:
    first, held = sent(large(1.5, before=[], after=[MODEL, ("language", b"en", None)]))
    last, flowing = sent(large(1.5, before=[("language", b"en", None), MODEL], after=[]))
    assert first == last
    assert not held.whole and not flowing.whole


@pytest.mark.parametrize("size, whole", [(BUFFER_BYTES - 5, True), (BUFFER_BYTES - 4, False)])
def test_the_limit_of_a_whole_upload_is_exact(size: int, whole: bool) -> None:
    for parts in ([MODEL, ("file", b"x" * size, WAV)], [("file", b"x" * size, WAV), MODEL]):
        for sizes in ((), (777_777,)):
            assert sent(form(parts), sizes=sizes)[1].whole is whole


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 900_000), max_size=6), st.integers(0, 3), st.data())
def test_any_cut_of_a_large_upload_gives_the_same_pieces(
    sizes: list[int], before: int, data: st.DataObject
) -> None:
    fields: list[Part] = [MODEL, ("prompt", b"p", None), ("response_format", b"json", None)]
    shuffled = data.draw(st.permutations(fields))
    body = large(1.2, before=shuffled[:before], after=shuffled[before:])
    assert sent(body, sizes=tuple(sizes))[0] == sent(body)[0]


IMAGE = '; filename="{}"\r\nContent-Type: {}'


def image(name: str, file_name: str, value: bytes) -> Part:
    return name, value, IMAGE.format(file_name, "application/octet-stream")


def test_images_are_numbered_and_the_mask_follows() -> None:
    text = upstream([
        image("mask", "m", b"M"), image("image[]", "ich am strand.jpg", b"1"),
        image("image[]", "b.webp", b"2"), ("prompt", b"p", None), ("model", b"a", None),
    ], "image_edit")
    heads = [line for line in text.split("\r\n") if "filename" in line]
    assert heads == [
        'Content-Disposition: form-data; name="image[]"; filename="image.jpeg"',
        'Content-Disposition: form-data; name="image[]"; filename="image2.webp"',
        'Content-Disposition: form-data; name="mask"; filename="mask.png"',
    ]
    assert "strand" not in text


def test_one_image_is_named_alike_in_both_spellings() -> None:
    parts: list[Part] = [("model", b"a", None)]
    one = upstream([*parts, image("image", "x.png", b"1")], "image_edit")
    assert one == upstream([*parts, image("image[]", "y.png", b"1")], "image_edit")
    assert 'name="image";' in one


@pytest.mark.parametrize("model, given_format, written", [
    ("gpt-image-1", None, None), ("gpt-image-1", b"url", None), ("other", None, None),
    ("other", b"url", "b64_json"), ("other", b"b64_json", "b64_json"),
    ("dall-e-2", None, "b64_json"), ("dall-e-2", b"url", "b64_json"),
    ("dall-e-2", b"b64_json", "b64_json"),
])
def test_no_answer_sends_the_client_to_the_provider_for_an_image(
    model: str, given_format: bytes | None, written: str | None
) -> None:
    parts: list[Part] = [("model", b"a", None), image("image", "x.png", b"1")]
    if given_format is not None:
        parts.append(("response_format", given_format, None))
    text = upstream(parts, "image_edit", model=model)
    values = text.split('name="response_format"\r\n\r\n')[1:]
    assert [value.partition("\r\n")[0] for value in values] == ([written] if written else [])


@pytest.mark.parametrize("asked, asks", [(b"gpt-image-2", False), (b"dall-e-2", True)])
def test_where_a_deployment_has_a_name_of_its_own_the_model_that_was_asked_for_tells(
    asked: bytes, asks: bool
) -> None:
    parts: list[Part] = [("model", asked, None), image("image", "x.png", b"1"),
                         ("response_format", b"b64_json", None)]
    for some in (parts, parts[:2]):
        assert ("response_format" in upstream(some, "image_edit", model="east-1")) is asks


@pytest.mark.parametrize("end_user, field, user", [
    ("absent", "user", None), ("absent", None, None),
    ("account", None, "who-nobody"), ("account", "user", "who-nobody"),
    ("account", "safety_identifier", "who-nobody"), ("enduser", None, "who-nobody"),
    ("enduser", "user", "who-ecila"), ("enduser", "safety_identifier", "who-ecila"),
])
def test_the_end_user_is_absent_or_a_pseudonym(
    end_user: Literal["absent", "account", "enduser"], field: str | None, user: str | None
) -> None:
    parts: list[Part] = [("model", b"a", None), image("image", "x.png", b"1")]
    if field is not None:
        parts.append((field, b"alice", None))
    text = upstream(parts, "image_edit", Policy(end_user=end_user), names=Names(end_user))
    assert "alice" not in text and "safety_identifier" not in text
    assert (f'name="user"\r\n\r\n{user}\r\n' in text) is (user is not None)
    assert ('name="user"' in text) is (user is not None)


def test_of_two_names_for_the_end_user_the_more_specific_counts() -> None:
    for order in (1, -1):
        both: list[Part] = [("user", b"alice", None), ("safety_identifier", b"bob", None)]
        text = upstream([*both[::order], MODEL], "image_edit", Policy(end_user="enduser"),
                        names=Names("enduser"))
        assert 'name="user"\r\n\r\nwho-bob\r\n' in text and text.count("who-") == 1


def test_unknown_fields_meet_the_policy() -> None:
    parts: list[Part] = [MODEL, ("diarize", b"true", None), ("a b", b"1", None),
                         ("evil", b"x", WAV), ("temperature[]", b"1", None)]
    text = upstream(parts, policy=Policy("pass"))
    assert 'name="diarize"\r\n\r\ntrue' in text and "evil" not in text and "a b" not in text
    text = upstream(parts, policy=Policy(pass_fields=frozenset({"diarize"})))
    assert 'name="diarize"' in text and "temperature" not in text
    it = sent(form(parts))[1]
    assert it.dropped == ("(unnamed)", "diarize", "evil", "temperature[]")
    with pytest.raises(RelayError) as caught:
        sent(form(parts), policy=Policy("refuse"))
    assert (caught.value.code, caught.value.param) == ("unknown_field", "diarize")


@pytest.mark.parametrize("parts, code, param", [
    ([("file_id", b"file-1", None)], "refused_field", "file_id"),
    ([("known_speaker_references[]", b"https://x/y", None)], "refused_field",
     "known_speaker_references"),
    ([MODEL, MODEL], "invalid_field", "model"),
    ([("file", b"1", WAV), ("file", b"2", WAV)], "invalid_field", "file"),
    ([("model", b"a/../b c", None)], "invalid_field", "model"),
    ([("model", b"", None)], "missing_model", "model"),
    ([("prompt", b"\xff", None)], "invalid_field", "prompt"),
    ([("stream", b"perhaps", None)], "invalid_field", "stream"),
    ([("prompt", b"x" * (FIELD_BYTES_MAX + 1), None)], "invalid_field", "prompt"),
    ([("keywords[]", b"x" * FIELD_BYTES_MAX, None)] * 5, "invalid_field", "keywords[]"),
])
def test_what_is_refused(parts: list[Part], code: str, param: str) -> None:
    with pytest.raises(RelayError) as caught:
        sent(form(parts))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_an_upload_without_a_model_is_ready_at_its_end_and_has_none() -> None:
    it = upload()
    it.feed(form([("file", b"x" * (2 * MIB), WAV)]))
    assert not it.ready and it.take("m") == []
    it.finish()
    assert it.ready and it.model is None


def test_an_upload_that_is_cut_short_is_refused() -> None:
    it = upload()
    it.feed(form([MODEL])[:-6])
    with pytest.raises(RelayError) as caught:
        it.finish()
    assert caught.value.code == "invalid_multipart"


def test_json_is_told_what_the_endpoint_takes() -> None:
    with pytest.raises(RelayError) as caught:
        Upload(BY_OPERATION["image_edit"], b"application/json", Policy(), "B")
    assert caught.value.status == 415


def test_content_is_in_no_repr() -> None:
    it = upload()
    it.feed(form([("prompt", b"canary", None), ("file", b"canary", WAV)]))
    assert "canary" not in repr(it) and "holiday" not in repr(it)


def test_recorded_uploads_of_other_clients_pass() -> None:
    for case in ("mistral.audio.transcriptions.json.5587ee67",
                 "openai.images.edits.json.717488b9"):
        request = json.loads((shared("corpus", "cases", case) / "request.json").read_text())
        body = base64.b64decode(request["body_base64"])
        boundary = body[2:body.index(b"\r\n")].decode()
        operation = "image_edit" if "images" in case else "transcription"
        pieces, it = sent(body, operation, boundary=boundary)
        assert it.model and it.whole
        data = b"".join(pieces)
        assert b"RubyMultipartPost" not in data and b"ruby.wav" not in data
