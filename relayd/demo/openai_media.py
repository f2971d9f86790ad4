"""The demo provider's OpenAI dialect, part four: pictures, speech and what was said."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from relayd.demo import media, prose
from relayd.demo.fields import limit_of
from relayd.demo.failures import stream_error
from relayd.demo.reply import Body, Plain, Reply, Streamed, json_reply, typed
from relayd.ops.clock import unix_ms

SIDE: Final = 256
IMAGES_MAX: Final = 4
PARTIAL_MAX: Final = 3
IMAGE_TOKENS: Final = 272
SECONDS_PER_TOKEN: Final = 0.02
SECONDS_MIN: Final = 0.2
CHUNK_BYTES: Final = 4096
HEARD: Final = "The relay passed the baton, 接力 🏃, and not a word was lost."
HEARD_SECONDS: Final = 4
_SIZE: Final = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")


def images(body: Body) -> Reply:
    """POST /v1/images/generations and /v1/images/edits."""
    match = _SIZE.fullmatch(str(body.get("size", "")))
    width, height = (int(match[1]), int(match[2])) if match else (SIDE, SIDE)
    picture = base64.b64encode(media.png(width, height)).decode()
    tokens = prose.count_all(body.get("prompt"))
    usage = {"input_tokens": tokens, "output_tokens": IMAGE_TOKENS,
             "total_tokens": tokens + IMAGE_TOKENS,
             "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0}}
    if _is_true(body.get("stream")):
        return _image_stream(body, picture, usage)
    # an address of this kind holds the picture itself: nobody is asked for it
    usual = "url" if str(body.get("model", "")).startswith("dall-e") else "b64_json"
    by_address = body.get("response_format", usual) == "url"
    one = {"url": f"data:image/png;base64,{picture}"} if by_address else {"b64_json": picture}
    return json_reply({"created": unix_ms() // 1000, "usage": usage,
                       "data": [one] * min(_number(body, "n") or 1, IMAGES_MAX)})


def _is_true(value: object) -> bool:
    """Forms have only texts."""
    return value is True or value == "true"


def _number(body: Body, name: str) -> int | None:
    value = body.get(name)
    return int(value) if isinstance(value, str) and value.isdecimal() else limit_of(body, name)


def _image_stream(body: Body, picture: str, usage: dict[str, Any]) -> Streamed:
    edit = "edit" if "image_bytes" in body else "generation"
    common = {"b64_json": picture, "created_at": unix_ms() // 1000, "size": f"{SIDE}x{SIDE}",
              "quality": "low", "background": "opaque", "output_format": "png"}
    number = min(_number(body, "partial_images") or 0, PARTIAL_MAX)
    events = tuple(typed({"type": f"image_{edit}.partial_image", "partial_image_index": index,
                          **common}) for index in range(number))
    end = typed({"type": f"image_{edit}.completed", "usage": usage, **common})
    return Streamed(events, (end,), stream_error("openai"))


def speech(body: Body) -> Reply:
    """POST /v1/audio/speech: MP3 unless WAV or raw samples are wanted, or events that hold it."""
    tokens = prose.count_all(body.get("input"))
    seconds = max(SECONDS_MIN, tokens * SECONDS_PER_TOKEN)
    wanted = body.get("response_format", "mp3")
    if wanted == "mp3":
        sound, kind = media.mp3(seconds), "audio/mpeg"
    elif wanted == "pcm":
        sound, kind = media.pcm(seconds), "audio/pcm"
    else:
        sound, kind = media.wav(seconds), "audio/wav"
    parts = [sound[at:at + CHUNK_BYTES] for at in range(0, len(sound), CHUNK_BYTES)]
    if body.get("stream_format") != "sse":
        return Streamed(tuple(parts[:-1]), tuple(parts[-1:]), b"", kind)
    events = tuple(typed({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
                   for part in parts)
    end = typed({"type": "speech.audio.done", "usage": {
        "input_tokens": tokens, "output_tokens": len(parts),
        "total_tokens": tokens + len(parts)}})
    return Streamed(events, (end,), stream_error("openai"))


def transcriptions(body: Body) -> Reply:
    """POST /v1/audio/transcriptions: the demo provider hears the same in every file."""
    pieces = prose.pieces(HEARD)
    usage = {"type": "tokens", "input_tokens": HEARD_SECONDS * 10, "output_tokens": len(pieces),
             "total_tokens": HEARD_SECONDS * 10 + len(pieces),
             "input_token_details": {"text_tokens": 0, "audio_tokens": HEARD_SECONDS * 10}}
    if _is_true(body.get("stream")):
        events = tuple(typed({"type": "transcript.text.delta", "delta": piece})
                       for piece in pieces)
        end = typed({"type": "transcript.text.done", "text": HEARD, "usage": usage})
        return Streamed(events, (end,), stream_error("openai"))
    return _transcript(body, usage)


def translations(body: Body) -> Plain:
    """POST /v1/audio/translations."""
    return _transcript(body, {"type": "duration", "seconds": HEARD_SECONDS})


def _transcript(body: Body, usage: dict[str, Any]) -> Plain:
    wanted = body.get("response_format", "json")
    if wanted == "text":
        return Plain(HEARD.encode() + b"\n", "text/plain; charset=utf-8")
    if wanted == "srt":
        return Plain(f"1\n00:00:00,000 --> 00:00:04,000\n{HEARD}\n\n".encode(),
                     "text/plain; charset=utf-8")
    if wanted == "vtt":
        return Plain(f"WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n{HEARD}\n".encode(),
                     "text/plain; charset=utf-8")
    if wanted != "verbose_json":
        return json_reply({"text": HEARD, "usage": usage})
    return json_reply({
        "task": "transcribe", "language": "english", "duration": float(HEARD_SECONDS),
        "text": HEARD, "usage": {"type": "duration", "seconds": HEARD_SECONDS},
        "segments": [{"id": 0, "seek": 0, "start": 0.0, "end": float(HEARD_SECONDS),
                      "text": HEARD, "tokens": [], "temperature": 0.0, "avg_logprob": -0.1,
                      "compression_ratio": 1.0, "no_speech_prob": 0.01}],
    })
