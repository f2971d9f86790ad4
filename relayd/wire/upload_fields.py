"""The fields of multipart endpoints: what becomes of each, and in which order they are written.

Law: these tables are complete. A field that is not in its endpoint's table is unknown and meets
the policy for unknown fields; no header of a part and no file name of the client is ever written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.errors import RelayError

Shape = Literal["text", "number", "flag", "list", "object", "file", "files"]
Verdict = Literal["pass", "model", "stream", "end_user", "data_urls", "b64", "drop", "refuse"]

FIELD_NAME: Final = re.compile(r"([A-Za-z0-9_.-]{1,64})((?:\[[A-Za-z0-9_.-]{0,64}\]){0,4})")
"""A field's name as SDKs build it: a root, then keys in brackets (`include[]`, `svg[model]`)."""


@dataclass(frozen=True, slots=True)
class UploadField:
    """One row. `shape` says how values are read: numbers and flags are written in one spelling,
    lists may repeat, objects have keys in brackets, a file has content, files may be several.

    Verdicts: `end_user` is replaced by the account's pseudonym or left out; `data_urls` passes
    content and refuses what the provider would have to fetch; `b64` keeps the provider from
    answering with a URL that the client would fetch by itself. A file is called after its `stem`
    and what it is, one of the kinds of its `media`.
    """

    name: str
    shape: Shape = "text"
    verdict: Verdict = "pass"
    stem: str = ""
    media: Literal["audio", "image"] = "audio"


_REFUSED: Final = ("file_id", "file_ids", "file_url", "container", "conversation")
_DROPPED: Final = (
    "metadata", "client_metadata", "store", "prompt_cache_key", "service_tier", "user",
    "safety_identifier",
)


def _table(*rows: UploadField) -> Mapping[str, UploadField]:
    known = {row.name: row for row in rows}
    for name in _DROPPED:
        known.setdefault(name, UploadField(name, verdict="drop"))
    for name in _REFUSED:
        known.setdefault(name, UploadField(name, verdict="refuse"))
    return known


F: Final = UploadField
_AUDIO_FILE: Final = F("file", "file", stem="audio", media="audio")

UPLOAD_FIELDS: Final[Mapping[str, Mapping[str, UploadField]]] = {
    # openai.types.audio.transcription_create_params
    "transcription": _table(
        F("model", verdict="model"),
        F("language"),
        F("languages", "list"),
        F("prompt"),
        F("keywords", "list"),
        F("response_format"),
        F("temperature", "number"),
        F("timestamp_granularities", "list"),
        F("include", "list"),
        F("chunking_strategy", "object"),
        F("known_speaker_names", "list"),
        F("known_speaker_references", "list", "data_urls"),
        F("stream", "flag", "stream"),
        _AUDIO_FILE,
    ),
    # openai.types.audio.translation_create_params
    "translation": _table(
        F("model", verdict="model"),
        F("prompt"),
        F("response_format"),
        F("temperature", "number"),
        _AUDIO_FILE,
    ),
    # openai.types.image_edit_params
    "image_edit": _table(
        F("model", verdict="model"),
        F("prompt"),
        F("n", "number"),
        F("size"),
        F("quality"),
        F("background"),
        F("input_fidelity"),
        F("complexity"),
        F("frame_count", "number"),
        F("frame_duration_ms", "number"),
        F("output_format"),
        F("output_compression", "number"),
        F("response_format", verdict="b64"),
        F("svg", "object"),
        F("partial_images", "number"),
        F("stream", "flag", "stream"),
        F("user", verdict="end_user"),
        F("safety_identifier", verdict="end_user"),
        F("image", "files", stem="image", media="image"),
        F("mask", "file", stem="mask", media="image"),
        F("markup", "file", stem="markup", media="image"),
    ),
}

END_USER_OPERATIONS: Final = frozenset({"image_edit"})
"""Operations whose API has a field for the end user."""

RANKS: Final = {
    operation: {name: rank for rank, name in enumerate(table)}
    for operation, table in UPLOAD_FIELDS.items()
}

_KINDS: Final[Mapping[str, tuple[tuple[str, str, tuple[str, ...]], ...]]] = {
    # extension that is written, its media type, and what stands for it in names and media types
    "audio": (
        ("wav", "audio/wav", ("wave", "x-wav", "vnd.wave")),
        ("mp3", "audio/mpeg", ("mpga", "mpeg3", "x-mp3")),
        ("mpeg", "audio/mpeg", ()),
        ("m4a", "audio/mp4", ("x-m4a", "m4b")),
        ("mp4", "audio/mp4", ()),
        ("ogg", "audio/ogg", ("oga", "opus")),
        ("webm", "audio/webm", ("weba",)),
        ("flac", "audio/flac", ("x-flac",)),
        ("aac", "audio/aac", ("x-aac",)),
    ),
    "image": (
        ("png", "image/png", ("apng", "x-png")),
        ("jpeg", "image/jpeg", ("jpg", "jpe", "pjpeg")),
        ("webp", "image/webp", ()),
        ("gif", "image/gif", ()),
        ("svg", "image/svg+xml", ("svg+xml",)),
    ),
}
_BY_WORD: Final = {
    media: {word: (kind, media_type) for kind, media_type, more in rows for word in (kind, *more)}
    for media, rows in _KINDS.items()
}
_BY_MEDIA_TYPE: Final = {"audio/mpeg": "mp3", "audio/mp4": "m4a", "video/mp4": "mp4"}


def file_kind(media: str, extension: str, content_type: str) -> tuple[str, str]:
    """(extension, media type) that stand for a file upstream: by its name, else by its media type.

    What neither tells gets the first row. `content_type` may carry parameters.
    """
    words = _BY_WORD[media]
    found = words.get(extension.lower())
    if found is None:
        media_type = content_type.partition(";")[0].strip().lower()
        word = _BY_MEDIA_TYPE.get(media_type) or media_type.rpartition("/")[2]
        found = words.get(word)
    return found or _KINDS[media][0][:2]


def list_name(name: str) -> str:
    """A list's name with numbered brackets as one with empty ones: `include[0]` is `include[]`."""
    root, bracket, key = name.partition("[")
    return root + "[]" if bracket and key[:-1].isdigit() else name


def shown(name: str) -> str:
    """A field's name as an error or `relay-dropped` may carry it."""
    return name if FIELD_NAME.fullmatch(name) else "(unnamed)"


_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0", ""})
EXACT_MAX: Final = 2 ** 53


def number_text(text: str) -> str:
    """One spelling for one number (`0.0` and `0` are `0`); what is no number stays as it is."""
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text)
    if abs(value) >= EXACT_MAX:
        return text
    return str(int(value)) if value.is_integer() else repr(value)


def flag(name: str, text: str) -> bool:
    """The value of a yes-or-no field; raises RelayError where it is neither."""
    word = text.strip().lower()
    if word not in _TRUE and word not in _FALSE:
        raise RelayError("invalid_field", param=name)
    return word in _TRUE


def line_ends(value: bytes) -> bytes:
    """A text value with LF for line ends.

    HTML's form encoding, which fetch() follows in browsers and Node.js, makes CRLF of every line
    end in a text; other clients send what they were given. Both mean the same text.
    """
    if b"\r" not in value:
        return value
    return value.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
