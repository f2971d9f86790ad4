"""The demo provider's OpenAI dialect, realtime: a session's memory, and what it says when.

Law: no I/O. An event of the client goes in, the events of the provider come out; `demo.app` paces
them and plays faults. Text and sound are served; what is said to it is not listened to.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

from relayd.demo import prose
from relayd.demo.answer import Answer, Tool, Wish, answer, cached_tokens, new_id
from relayd.demo.fields import dict_of, dicts_of, limit_of, text_of
from relayd.demo.media import RATE
from relayd.demo.openai_chat import parts_of

Event = dict[str, Any]

BYTES_PER_SECOND: Final = 2 * RATE
TOKENS_PER_SECOND: Final = 10
"""Of what is said to the model."""
PIECE_SOUND: Final = base64.b64encode(bytes(RATE // 50)).decode()
"""10 ms of silence stand for a token's sound."""
ITEMS_MAX: Final = 1000


class Session:
    """One session: what it is set to, and what was said in it."""

    def __init__(self, model: str) -> None:
        self._id = new_id("sess_")
        self._model = model
        self._settings: dict[str, Any] = {"output_modalities": ["audio"]}
        self._items: list[dict[str, Any]] = []
        self._sound_bytes = 0
        self._sound_tokens = 0

    def opening(self) -> Iterator[Event]:
        """What is said before the client says anything."""
        yield self._event("session.created", session=self._session())

    def hear(self, event: Event) -> Iterator[Event]:
        """The events that answer one of the client's; the last of a response is its end."""
        kind = event.get("type")
        if kind == "session.update":
            self._settings.update(dict_of(event, "session"))
            yield self._event("session.updated", session=self._session())
        elif kind == "conversation.item.create":
            yield from self._add(dict_of(event, "item"))
        elif kind == "conversation.item.delete":
            yield from self._delete(event)
        elif kind == "input_audio_buffer.append":
            self._append(event)
        elif kind == "input_audio_buffer.commit":
            yield from self._commit()
        elif kind == "input_audio_buffer.clear":
            self._sound_bytes = 0
            yield self._event("input_audio_buffer.cleared")
        elif kind == "response.create":
            yield from self._respond(dict_of(event, "response"))
        else:
            yield self.error("The demo provider does not know this event.", event)

    def error(self, message: str, event: Event) -> Event:
        """An error, as this API tells one."""
        return self._event("error", error={
            "type": "invalid_request_error", "code": "invalid_value", "message": message,
            "param": None, "event_id": event.get("event_id")})

    @staticmethod
    def _event(kind: str, **members: Any) -> Event:
        return {"type": kind, "event_id": new_id("event_"), **members}

    def _session(self) -> Event:
        return {"type": "realtime", "object": "realtime.session", "id": self._id,
                **self._settings, "model": self._model}

    # -- what is said ---------------------------------------------------------------------

    def _add(self, item: dict[str, Any]) -> Iterator[Event]:
        item = {"id": new_id("item_"), "object": "realtime.item", "status": "completed", **item}
        self._items = [*self._items[1 - ITEMS_MAX:], item]
        before = self._items[-2]["id"] if len(self._items) > 1 else None
        for kind in ("conversation.item.added", "conversation.item.done"):
            yield self._event(kind, previous_item_id=before, item=item)

    def _delete(self, event: Event) -> Iterator[Event]:
        name = event.get("item_id")
        kept = [item for item in self._items if item["id"] != name]
        if len(kept) == len(self._items):
            yield self.error("There is no such item.", event)
            return
        self._items = kept
        yield self._event("conversation.item.deleted", item_id=name)

    def _append(self, event: Event) -> None:
        try:
            self._sound_bytes += len(base64.b64decode(str(event.get("audio", ""))))
        except binascii.Error:
            pass

    def _commit(self) -> Iterator[Event]:
        self._sound_tokens += self._sound_bytes * TOKENS_PER_SECOND // BYTES_PER_SECOND
        self._sound_bytes = 0
        item = {"id": new_id("item_"), "type": "message", "role": "user",
                "content": [{"type": "input_audio", "transcript": None}]}
        yield self._event("input_audio_buffer.committed", item_id=item["id"])
        yield from self._add(item)

    # -- what is answered -----------------------------------------------------------------

    def _respond(self, asked: dict[str, Any]) -> Iterator[Event]:
        settings = {**self._settings, **asked}
        wish = self._wish(settings)
        found = answer(wish)
        response: dict[str, Any] = {
            "id": new_id("resp_"), "object": "realtime.response", "status": "in_progress",
            "status_details": None, "output": [], "usage": None, "metadata": None,
            "output_modalities": settings["output_modalities"]}
        yield self._event("response.created", response=response)
        spoken = "text" not in settings["output_modalities"]
        item = _item(found, spoken)
        yield from self._item_events(found, item, response["id"], spoken)
        if settings.get("conversation") != "none":
            yield from self._add(item)
        yield self._event("response.done", response={
            **response, "status": "incomplete" if found.cut else "completed", "output": [item],
            "usage": self._usage(wish, found, spoken)})
        yield self._event("rate_limits.updated", rate_limits=[
            {"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 1.5}])

    def _wish(self, settings: dict[str, Any]) -> Wish:
        said = dicts_of(settings, "input") or self._items
        last = said[-1] if said else {}
        choice = settings.get("tool_choice")
        return Wish(
            model=self._model,
            question=text_of(last.get("content")),
            input_tokens=prose.count_all(settings.get("instructions"), said,
                                         settings.get("tools")),
            tools=tuple(Tool(t["name"], t.get("parameters")) for t in dicts_of(settings, "tools")
                        if isinstance(t.get("name"), str)),
            forced="" if choice == "required" else None,
            tools_off=choice == "none",
            answered=last.get("type") == "function_call_output",
            output_tokens_max=limit_of(settings, "max_output_tokens"),
        )

    def _usage(self, wish: Wish, found: Answer, spoken: bool) -> Event:
        sound_in = self._sound_tokens
        sound_out = len(found.text) if spoken else 0
        given = wish.input_tokens + sound_in
        return {
            "total_tokens": given + found.output_tokens,
            "input_tokens": given, "output_tokens": found.output_tokens,
            "input_token_details": {
                "text_tokens": wish.input_tokens, "audio_tokens": sound_in, "image_tokens": 0,
                "cached_tokens": cached_tokens(wish.input_tokens),
                "cached_tokens_details": {
                    "text_tokens": cached_tokens(wish.input_tokens), "audio_tokens": 0}},
            "output_token_details": {
                "text_tokens": found.output_tokens - sound_out, "audio_tokens": sound_out},
        }

    def _item_events(
        self, found: Answer, item: dict[str, Any], response_id: str, spoken: bool
    ) -> Iterator[Event]:
        outer = {"response_id": response_id, "output_index": 0}
        place = {**outer, "item_id": item["id"]}
        empty: Event = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        yield self._event("response.output_item.added", **outer,
                          item={**item, "status": "in_progress", **empty})
        if found.call is not None:
            kind = "response.function_call_arguments"
            for part in parts_of(found.call.arguments):
                yield self._event(f"{kind}.delta", **place, call_id=item["call_id"], delta=part)
            yield self._event(f"{kind}.done", **place, call_id=item["call_id"],
                              name=found.call.name, arguments=found.call.arguments)
        else:
            yield from self._text_events(found, {**place, "content_index": 0}, spoken)
        yield self._event("response.output_item.done", **outer, item=item)

    def _text_events(self, found: Answer, place: Event, spoken: bool) -> Iterator[Event]:
        kind = "response.output_audio_transcript" if spoken else "response.output_text"
        named = "transcript" if spoken else "text"
        part = {"type": "audio" if spoken else "text"}
        text = "".join(found.text)
        yield self._event("response.content_part.added", **place, part={**part, named: ""})
        for piece in found.text:
            yield self._event(f"{kind}.delta", **place, delta=piece)
            if spoken:
                yield self._event("response.output_audio.delta", **place, delta=PIECE_SOUND)
        if spoken:
            yield self._event("response.output_audio.done", **place)
        yield self._event(f"{kind}.done", **place, **{named: text})
        yield self._event("response.content_part.done", **place, part={**part, named: text})


def _item(found: Answer, spoken: bool) -> dict[str, Any]:
    """The item that an answer becomes."""
    item = {"id": new_id("item_"), "object": "realtime.item",
            "status": "incomplete" if found.cut else "completed"}
    if found.call is not None:
        return {**item, "type": "function_call", "name": found.call.name,
                "call_id": new_id("call_"), "arguments": found.call.arguments}
    text = "".join(found.text)
    part = {"type": "output_audio", "transcript": text} if spoken else {
        "type": "output_text", "text": text}
    return {**item, "type": "message", "role": "assistant", "content": [part]}
