"""The request body: read once, rid of what identifies the client, written canonically.

Two bodies with the same JSON value (whatever the order of keys, the whitespace, the escapes and
the spelling of numbers) are written as the same bytes. What is decided here:

* Numbers keep their value: integers of any size as they are, others as the shortest form of the
  nearest double (more digits than a double holds are lost, as they are in every provider). NaN,
  Infinity and numbers out of a double's range are refused.
* Strings keep their characters, lone surrogates included; a NUL is a character.
* Of duplicate keys the last one counts, at the place of the first.
* A body that starts with a BOM, is not UTF-8, or nests deeper than NESTING_MAX is refused.

Law: nothing of a body gets into an exception, its context, or a repr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from relayd.core.errors import RelayError
from relayd.wire import surrogate
from relayd.wire.anthropic_messages import COUNT_TOKENS, MESSAGES
from relayd.wire.dialect import MODEL_NAME, Endpoint
from relayd.wire.fields import Table
from relayd.wire.gemini_generate import BATCH_EMBED, COUNT, EMBED, GENERATE
from relayd.wire.identity import Pseudonyms
from relayd.wire.known import Known
from relayd.wire.numbers import LONG_BYTES_MIN, decode_long, is_decimal
from relayd.wire.openai_audio import TABLE as SPEECH
from relayd.wire.openai_chat import TABLE as CHAT
from relayd.wire.openai_completions import TABLE as COMPLETIONS
from relayd.wire.openai_embeddings import TABLE as EMBEDDINGS
from relayd.wire.openai_images import TABLE as IMAGES
from relayd.wire.openai_images import says_inline
from relayd.wire.openai_moderations import TABLE as MODERATIONS
from relayd.wire.openai_rerank import TABLE as RERANK
from relayd.wire.openai_responses import TABLE as RESPONSES
from relayd.wire.spliced import Spliced, spliced
from relayd.wire.split import Split, too_deep
from relayd.wire.walk import DROPPED_MAX, MARKS, BodyPolicy, StandIn, Walk

NESTING_MAX: Final = 256
"""Levels of lists and objects, the body itself included; the deepest real request seen has 16."""

TABLES: Final[dict[str, Table]] = {
    "chat": CHAT,
    "completions": COMPLETIONS,
    "responses": RESPONSES,
    "embeddings": EMBEDDINGS,
    "moderations": MODERATIONS,
    "image_generation": IMAGES,
    "speech": SPEECH,
    "rerank": RERANK,
    "messages": MESSAGES,
    "count_tokens": COUNT_TOKENS,
    "generate": GENERATE,
    "stream_generate": GENERATE,
    "count": COUNT,
    "embed": EMBED,
    "batch_embed": BATCH_EMBED,
}
"""By the endpoint's operation; the others take uploads."""

SPLIT_BYTES_MIN: Final = 6 * 1024
"""Shorter bodies are read sooner than they are taken apart."""

ELEMENTS_MAX: Final = 512
"""Bodies of more elements too, or of so many that they would push each other out of the memory:
20,000 messages of 1 MB took 45 ms of the event loop, and 13 read whole."""

DENSE_BYTES_MIN: Final = 192 * 1024
DENSE_MIN: Final = 40_000
"""Brackets and colons of a dense body, for each of which something is made and looked at: 1 MB of
empty lists takes a fifth of a second, 1 MB of text 2 ms."""

LISTS: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("messages", "tools"),
    "responses": ("input", "tools"),
    "messages": ("messages", "system", "tools"),
    "count_tokens": ("messages", "system", "tools"),
    "generate": ("contents", "tools"),
    "stream_generate": ("contents", "tools"),
    "count": ("contents", "tools"),
}
"""What grows from turn to turn, by the endpoint's operation; the tables act on it by `items`."""

WHOLE: Final = frozenset({"instructions", "systemInstruction"})
"""What is long and stays the same; the tables act on these by `whole`."""

SPLITS: Final = {
    name: Split(TABLES[name].names.verdicts, lists) for name, lists in LISTS.items()}

_is_name: Final = MODEL_NAME.fullmatch
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(enc_hook=spliced).encode


class Ask(msgspec.Struct, gc=False):
    """What one request asks for. `fields` is the body in written order, without the client's ids.

    Elements of long lists, and long values, may be `Spliced`: ready to be sent, not read.
    `dropped` are sorted names for the report; `usage_asked`: the client itself wants the usage
    event of a stream; `places` are objects within `fields` that name the model once more; `marks`
    say what of the input the body's length does not bound (wire/extent.py). `fields` is changed in
    place by `write` (the model's name alone).
    """

    model: str
    stream: bool
    fields: dict[str, object]
    dropped: tuple[str, ...]
    usage_asked: bool
    stand_ins: tuple[StandIn, ...]
    places: list[dict[str, object]]
    marks: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "Ask(...)"


class Dense(Exception):
    """A body that takes so long to read that the event loop should not."""


def read(
    endpoint: Endpoint, raw: bytes, policy: BodyPolicy, path_model: str | None = None,
    known: Known | None = None, brief: bool = False,
) -> Ask:
    """Reads a JSON body of `endpoint`; `path_model` is the model that the path names, if it does.

    `known` is what the account has sent under this policy; the result is the same without it.
    Raises RelayError: invalid_json, missing_model, invalid_field, refused_field, unknown_field;
    with `brief` Dense, before any of it is read.
    """
    operation = endpoint.operation
    table = TABLES[operation]
    fields = None
    if known is not None and len(raw) >= SPLIT_BYTES_MIN and operation in SPLITS:
        walk = Walk(policy, known)
        fields = _known_fields(operation, raw, walk, known, brief)
    if fields is None:
        if brief and len(raw) >= DENSE_BYTES_MIN:
            _pass_by(raw)
        walk = Walk(policy)
        fields = table.read(parsed(raw), walk)
    stream = walk.stream
    if endpoint.api == "gemini":
        model: object = path_model
        stream = endpoint.streams == "always"
    else:
        model = fields.get("model")
        if model is None and table.default_model is not None:
            model = table.default_model
            fields = {"model": model, **fields}
    if type(model) is not str or _is_name(model) is None:
        raise _no_model(model)
    noted = walk.dropped
    ask = Ask(model, stream, fields, (), walk.usage_asked, walk.stand_ins, walk.places)
    if noted:
        ask.dropped = tuple(sorted(noted - MARKS))
        ask.marks = MARKS & noted
    return ask


def write(
    ask: Ask, model: str, names: Pseudonyms, *, stream_usage: bool = True, unstored: bool = False
) -> bytes:
    """The bytes of one attempt, for the deployment's `model` and the account's pseudonyms there.

    `stream_usage` false: the provider does not know `stream_options.include_usage`; it is sent
    only if the client asked for it. `unstored`: the provider keeps chats unless it is told not to.
    """
    fields = ask.fields
    if "model" in fields:
        fields["model"] = model
    for place in ask.places:
        place["model"] = "models/" + model
    if ask.stand_ins:
        fields = _with_stand_ins(ask, model, names)
    if not stream_usage and not ask.usage_asked and type(
            options := fields.get("stream_options")) is dict:
        fields = _without_usage(fields, options)
    if unstored:
        fields = {**fields, "store": False}
    try:
        return _encode(fields)
    except UnicodeEncodeError:
        pass
    return surrogate.encode(fields)


def _pass_by(raw: bytes) -> None:
    """Raises Dense where a body is that.

    1 MB of text is looked through in 0.1 ms: `replace` finds what it takes out by memchr, where
    `count` goes from octet to octet and took 2.6.
    """
    if is_decimal(raw):
        raise Dense
    room = DENSE_MIN
    for mark in (b"[", b"{", b":"):
        room -= len(raw) - len(raw.replace(mark, b"", room + 1))
        if room < 0:
            raise Dense


def _known_fields(
    operation: str, raw: bytes, walk: Walk, known: Known, brief: bool
) -> dict[str, object] | None:
    """The fields of a body, read as far as they are not known; None: it has to be read whole.

    That also finds out what is wrong with it, and says so.
    """
    known.begin()
    match = known.layouts.find(operation, raw)
    if brief and len(raw) >= DENSE_BYTES_MIN and (
            match is None or match.fresh >= DENSE_BYTES_MIN):
        _pass_by(raw)
    texts = None if match is None else match.texts(SPLITS[operation])
    if match is None or texts is None:
        return _split_fields(operation, raw, walk, known)
    known.hits += match.known
    walk.dropped |= match.names
    fields = _fields(operation, texts, match.count, walk)
    if fields is not None:
        known.layouts.extend(operation, raw, match, known.seen)
    return fields


def _split_fields(
    operation: str, raw: bytes, walk: Walk, known: Known
) -> dict[str, object] | None:
    """As `_known_fields`, of a body that no other has begun."""
    split = SPLITS[operation].take(raw)
    if split is None:
        return None
    texts = {name: text if isinstance(text, bytes) else text.copy()
             for name, text in split.items()}
    count = sum([len(text) for text in split.values() if type(text) is list])
    fields = _fields(operation, split, count, walk)
    if fields is not None and known.seen:
        known.layouts.learn(operation, raw, texts, LISTS[operation][0], known.seen)
    return fields


def _fields(operation: str, texts: Mapping[str, bytes | list[Any] | Spliced], count: int,
            walk: Walk) -> dict[str, object] | None:
    """The fields of members and `count` elements that are texts yet. `texts` are consumed."""
    if count > ELEMENTS_MAX:
        return None
    try:
        body: dict[str, object] = {}
        for name, text in texts.items():
            if not isinstance(text, bytes) or name in WHOLE and text != b"null":
                body[name] = text
                continue
            value = body[name] = decode_long(text)
            if len(text) > 2 * NESTING_MAX - 2 and too_deep(value, NESTING_MAX - 1):
                return None
        fields = TABLES[operation].read(body, walk)
    except (RelayError, ValueError, RecursionError):
        return None
    # beyond that, which names are told is a matter of the order they were found in
    return fields if len(walk.dropped) < DROPPED_MAX else None


def parsed(raw: bytes) -> dict[str, object]:
    """A client's JSON as an object that is ours to change; raises invalid_json."""
    try:
        body = _decode(raw) if len(raw) < LONG_BYTES_MIN else decode_long(raw)
    except (ValueError, RecursionError):
        body = None
    if body is None and surrogate.may_hold_surrogates(raw):
        try:
            body = surrogate.decode(raw)
        except (ValueError, RecursionError):
            body = None
    if type(body) is not dict:
        raise RelayError("invalid_json")
    if len(raw) > 2 * NESTING_MAX and too_deep(body, NESTING_MAX):
        raise RelayError("invalid_json")
    return body


def names_twice(raw: bytes) -> bool:
    """Whether an object of a valid body names a member twice: RFC 8259 leaves open which counts.

    The last one does here; a caller that then finds no route may tell the client why.
    """
    found = False

    def see(pairs: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len(pairs) != len({name for name, _ in pairs})

    json.loads(raw, object_pairs_hook=see)
    return found


def _no_model(named: object) -> RelayError:
    if named is None or named == "":
        return RelayError("missing_model", param="model")
    return RelayError("invalid_field", param="model")


def _with_stand_ins(ask: Ask, model: str, names: Pseudonyms) -> dict[str, object]:
    """A copy of the fields with the pseudonyms in their places; a name without one is left out."""
    fields = dict(ask.fields)
    for name, kind, value in ask.stand_ins:
        if kind == "cache_key":
            stand_in = names.cache_key(value or "")
        elif kind == "inline":
            stand_in = "b64_json" if says_inline(ask.model, model, value is not None) else None
        else:
            stand_in = names.end_user(value)
        if stand_in is None:
            del fields[name]
        else:
            fields[name] = {"user_id": stand_in} if kind == "metadata" else stand_in
    return fields


def _without_usage(fields: dict[str, object], options: dict[str, object]) -> dict[str, object]:
    rest = {name: value for name, value in options.items() if name != "include_usage"}
    fields = {name: value for name, value in fields.items() if name != "stream_options"}
    if rest:
        fields["stream_options"] = rest
    return fields
