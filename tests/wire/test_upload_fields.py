"""The field tables of multipart endpoints are complete, and values have one spelling."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import image_edit_params
from openai.types.audio import transcription_create_params, translation_create_params

from relayd.core.errors import RelayError
from relayd.wire.dialect import ENDPOINTS
from relayd.wire.upload_fields import (
    FIELD_NAME, UPLOAD_FIELDS, file_kind, flag, line_ends, list_name, number_text, shown,
)


def test_every_multipart_endpoint_has_a_table() -> None:
    assert set(UPLOAD_FIELDS) == {e.operation for e in ENDPOINTS if e.body == "multipart"}


@pytest.mark.parametrize("operation, params", [
    ("transcription", transcription_create_params.TranscriptionCreateParamsStreaming),
    ("translation", translation_create_params.TranslationCreateParams),
    ("image_edit", image_edit_params.ImageEditParamsStreaming),
])
def test_every_field_of_the_official_sdk_has_a_verdict(operation: str, params: type) -> None:
    missing = set(typing.get_type_hints(params)) - set(UPLOAD_FIELDS[operation])
    assert not missing


@pytest.mark.parametrize("operation", sorted(UPLOAD_FIELDS))
def test_every_table_knows_the_model_a_file_and_identity(operation: str) -> None:
    table = UPLOAD_FIELDS[operation]
    assert next(iter(table.values())).verdict == "model"
    assert any(row.shape in ("file", "files") and row.stem for row in table.values())
    for name in ("user", "safety_identifier", "metadata", "store"):
        assert table[name].verdict in ("drop", "end_user")
    for name in ("file_id", "file_url"):
        assert table[name].verdict == "refuse"


@pytest.mark.parametrize("media, extension, content_type, kind", [
    ("audio", "wav", "audio/x-wav", ("wav", "audio/wav")),
    ("audio", "WAV", "application/octet-stream", ("wav", "audio/wav")),
    ("audio", "mpga", "", ("mp3", "audio/mpeg")),
    ("audio", "mp3", "audio/mp3", ("mp3", "audio/mpeg")),
    ("audio", "", "audio/mpeg", ("mp3", "audio/mpeg")),
    ("audio", "", "audio/webm;codecs=opus", ("webm", "audio/webm")),
    ("audio", "oga", "", ("ogg", "audio/ogg")),
    ("audio", "m4a", "", ("m4a", "audio/mp4")),
    ("audio", "", "video/mp4", ("mp4", "audio/mp4")),
    ("audio", "exe", "text/html", ("wav", "audio/wav")),
    ("audio", "", "", ("wav", "audio/wav")),
    ("image", "JPG", "image/png", ("jpeg", "image/jpeg")),
    ("image", "", "image/webp", ("webp", "image/webp")),
    ("image", "wav", "", ("png", "image/png")),
    ("image", "", "image/svg+xml", ("svg", "image/svg+xml")),
])
def test_files_have_a_kind_from_a_closed_list(
    media: str, extension: str, content_type: str, kind: tuple[str, str]
) -> None:
    assert file_kind(media, extension, content_type) == kind


@pytest.mark.parametrize("text, spelling", [
    ("0", "0"), ("0.0", "0"), ("-0.0", "0"), ("0.20", "0.2"), ("1e0", "1"), ("1E-7", "1e-07"),
    ("9007199254740993", "9007199254740993"), ("nan", "nan"), ("0x1", "0x1"), ("1e999", "1e999"),
    ("0,5", "0,5"), ("", ""), ("1_0", "1_0"), ("12", "12"), ("007", "7"),
])
def test_a_number_has_one_spelling(text: str, spelling: str) -> None:
    assert number_text(text) == spelling


@given(st.floats(-1e15, 1e15))
def test_a_number_keeps_its_value(value: float) -> None:
    assert float(number_text(repr(value))) == value


@pytest.mark.parametrize("text, value", [
    ("true", True), ("True", True), ("1", True), ("false", False), ("False", False), ("0", False),
    ("", False),
])
def test_flags(text: str, value: bool) -> None:
    assert flag("stream", text) is value


def test_a_flag_that_is_none_is_refused() -> None:
    with pytest.raises(RelayError) as caught:
        flag("stream", "maybe")
    assert (caught.value.code, caught.value.param) == ("invalid_field", "stream")


def test_line_ends_are_lf() -> None:
    assert line_ends(b"a\r\nb\rc\nd\r\n\r\n") == b"a\nb\nc\nd\n\n"
    assert line_ends(b"plain") == b"plain"


def test_names() -> None:
    assert list_name("include[0]") == list_name("include[]") == "include[]"
    assert list_name("include") == "include"
    assert shown("svg[reasoning][effort]") == "svg[reasoning][effort]"
    assert shown('x"\r\ny: z') == "(unnamed)"
    assert not FIELD_NAME.fullmatch("a[") and not FIELD_NAME.fullmatch("a]")
