"""Prompt counts of OpenAI's endpoints, by the published chat rules and what recordings correct.

Law: what a field of a wrong type would have said counts nothing; nothing here raises for a body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from relayd.relay import prompt_items, prompt_thoughts
from relayd.relay.prompt_frame import Frame, frame_of
from relayd.relay.prompt_image import image_tokens, size_of_url
from relayd.relay.prompt_tally import Object, Tally, member, objects
from relayd.relay.prompt_tools import answer_form, namespace
from relayd.wire.spliced import Spliced, one_by_one

TOOL_CHOICE: Final = 4
"""What it costs to name the tool that must be called (recorded: 4 to 14)."""

SCHEMA_CHAT: Final = 4
"""What the schema of the answer costs more on the chat endpoint (recorded)."""

PARALLEL: Final = 6
"""What each of several calls in one message of OpenAI's models costs more (recorded: 6, 11)."""

BESIDE_MESSAGES: Final = frozenset(
    {"tools", "functions", "response_format", "tool_choice", "function_call"})
ROLE_AND_CONTENT: Final = 2
"""Members of most messages."""

_SYSTEM_TEXT: Final = re.compile(
    rb'\{(?:"type":(?:"%b"|[^"{[]*),)?(?:"id":(?:"%b"|[^"{[]*),)?"role":"(?:system|developer)"' % (
        (rb'[^"\\]*(?:\\.[^"\\]*)*',) * 2))


def chat(tally: Tally, fields: Mapping[str, object]) -> None:
    """`/v1/chat/completions`."""
    frame = frame_of(tally.encoding.family)
    messages = fields.get("messages")
    tally.fixed(frame.opening)
    for message in tally.each(messages, "chat"):
        tally.fixed(frame.message)
        _message(tally, message)
    prompt_thoughts.thoughts(tally, messages)
    if not BESIDE_MESSAGES.isdisjoint(fields):
        _beside_messages(tally, fields, frame, _has_system(messages))


def _beside_messages(
    tally: Tally, fields: Mapping[str, object], frame: Frame, system: bool
) -> None:
    """What else of a chat the model is shown."""
    old = objects(fields.get("functions"))
    for tools in [objects(list(one_by_one(fields.get("tools"))))] if old else tally.together(
            fields.get("tools"), "chat tools, system" if system else "chat tools"):
        functions = [function for tool in tools
                     if isinstance(function := tool.get("function"), dict)] + old
        _tools(tally, functions, system)
        prompt_items.own_tools(tally, tools)
        if functions:
            tally.fixed(frame.tools_chat)
    if _schema(tally, member(fields.get("response_format"), "json_schema")):
        tally.fixed(SCHEMA_CHAT if frame.shown_as == "typescript" else 0)
    _choice(tally, member(fields.get("tool_choice"), "function"))
    _choice(tally, fields.get("function_call"))


def responses(tally: Tally, fields: Mapping[str, object]) -> None:
    """`/v1/responses`: the same rules for its items; here tools cost the same beside a system."""
    frame = frame_of(tally.encoding.family)
    tally.fixed(frame.opening)
    for instructions in tally.once(fields.get("instructions"), "instructions"):
        if isinstance(instructions, str):
            _message(tally, {"role": "system", "content": instructions})
            tally.fixed(frame.message)
    given = fields.get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for item in tally.each(given, "items"):
        _item(tally, item)
    context = member(fields.get("reasoning"), "context")
    prompt_items.thoughts(tally, given, context == "all_turns")
    for tools in tally.together(fields.get("tools"), "functions"):
        _tools(tally, prompt_items.functions(tools), False, frame.tools_responses)
        prompt_items.own_tools(tally, tools)
    _schema(tally, member(fields.get("text"), "format"))
    _choice(tally, fields.get("tool_choice"))


def _has_system(items: object) -> bool:
    """Whether a message of a list is the system's."""
    return any(map(_is_system, one_by_one(items)))


def _is_system(item: object) -> bool:
    """Of one that was not read the canonical text is looked at: its role comes before its text."""
    if type(item) is Spliced:
        return _SYSTEM_TEXT.match(item.text) is not None
    return member(item, "role") in ("system", "developer")


def _item(tally: Tally, item: Object) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        tally.fixed(frame_of(tally.encoding.family).message)
        _message(tally, item)
    elif kind == "reasoning":
        _reasoning(tally, item)
    elif kind == "compaction":
        prompt_items.compaction(tally, item)
    elif isinstance(kind, str) and kind.endswith("_call"):
        _item_call(tally, item, kind)
    elif isinstance(kind, str) and kind.endswith("_output"):
        tally.fixed(frame_of(tally.encoding.family).message)
        output = item.get("output")
        _content(tally, [output] if type(output) is dict else output)  # a screenshot
        prompt_items.output(tally, output)
        found = prompt_items.functions(objects(item.get("tools")))
        if found:
            _shown(tally, frame_of(tally.encoding.family), found)


def _reasoning(tally: Tally, item: Object) -> None:
    """Its text; where it is encrypted the model does not read the summary (`thoughts`)."""
    if "encrypted_content" not in item or tally.encoding.family not in prompt_items.REREADING:
        for part in (*objects(item.get("summary")), *objects(item.get("content"))):
            tally.text(part.get("text"))


def _item_call(tally: Tally, item: Object, kind: str) -> None:
    carried_out = prompt_items.CARRIED_OUT.get(kind)
    if carried_out is None:
        tally.fixed(frame_of(tally.encoding.family).call_responses)
        _call(tally, item)
        if type(item.get("arguments")) is dict:
            tally.json(item["arguments"])
    else:
        tally.fixed(carried_out)
    prompt_items.call(tally, item)


def _message(tally: Tally, message: Object) -> None:
    role, content = message.get("role"), message.get("content")
    tally.text(role)
    if type(content) is str:
        tally.text(prompt_thoughts.answer(tally, content) if role == "assistant" else content)
    else:
        _content(tally, content)
    if len(message) != ROLE_AND_CONTENT or role is None or content is None:
        _beside_content(tally, message)
    if role == "assistant":
        tally.fixed(frame_of(tally.encoding.family).assistant)


def _beside_content(tally: Tally, message: Object) -> None:
    """What else a message says."""
    name = message.get("name")
    if isinstance(name, str) and name != message.get("role"):
        tally.text(name)
        tally.fixed(1)
    tally.text(message.get("refusal"))
    calls = objects(message.get("tool_calls"))
    if len(calls) > 1 and frame_of(tally.encoding.family).shown_as == "typescript":
        tally.fixed(PARALLEL * len(calls))
    for call in calls:
        _call(tally, call.get("function", call.get("custom")))
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        _call(tally, legacy)


def _call(tally: Tally, call: object) -> None:
    tally.fixed(frame_of(tally.encoding.family).call)
    tally.text(member(call, "name"))
    tally.text(member(call, "arguments"))
    tally.text(member(call, "input"))


def _content(tally: Tally, content: object) -> None:
    """A text, or a list of parts: texts and images. Audio and files cannot be foreseen.

    Mistral has thinking as a part, which is a list of texts itself.
    """
    tally.text(content)
    for part in objects(content):
        tally.text(part.get("text"))
        tally.text(part.get("refusal"))
        for thought in objects(part.get("thinking")):
            tally.text(thought.get("text"))
        image = part.get("image_url")
        if image is not None:
            _image(tally, image, part.get("detail"))


def _image(tally: Tally, image: object, detail: object) -> None:
    if isinstance(image, dict):
        url, detail = member(image, "url"), member(image, "detail")
    else:
        url = image
    tally.fixed(image_tokens(tally.encoding.family, size_of_url(url), detail))


def _tools(
    tally: Tally, functions: list[Object], system: bool, around: int | None = None
) -> None:
    """Functions, and what stands around them: `around` where that is known for the endpoint."""
    if not functions:
        return
    frame = frame_of(tally.encoding.family)
    if around is None:
        around = frame.tools - (frame.tools_beside_system if system else 0)
    tally.fixed(around + frame.tool * len(functions))
    _shown(tally, frame, functions)


def _shown(tally: Tally, frame: Frame, functions: list[Object]) -> None:
    if frame.shown_as == "typescript":
        tally.text(namespace(functions))
    else:
        for function in functions:
            tally.json(function, spaced=frame.shown_as == "spaced")


def _schema(tally: Tally, form: object) -> bool:
    """The schema of the answer: whether the model is shown one."""
    schema = member(form, "schema")
    frame = frame_of(tally.encoding.family)
    if not isinstance(form, dict) or not isinstance(schema, dict) or frame.schema is None:
        return False
    tally.fixed(frame.schema)
    if frame.shown_as == "typescript":
        tally.text(answer_form(form))
    else:
        tally.json({**form, "parameters": schema})
    return True


def _choice(tally: Tally, choice: object) -> None:
    """A tool that the model must call."""
    if isinstance(choice, dict) and "name" in choice:
        tally.text(choice["name"])
        tally.fixed(TOOL_CHOICE)


class Plain:
    """A rule for endpoints whose prompt is the named fields: texts, token ids, lists of them."""

    __slots__ = ("_names",)

    def __init__(self, *names: str) -> None:
        self._names = names

    def __call__(self, tally: Tally, fields: Mapping[str, object]) -> None:
        """Counts them as they are, without any overhead."""
        for name in self._names:
            _plain(tally, fields.get(name))


def _plain(tally: Tally, value: object) -> None:
    tally.text(value)
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str):
            tally.text(item)
        elif isinstance(item, int):
            tally.fixed(1)
        elif isinstance(item, list):
            tally.fixed(len(item))
        else:
            _content(tally, [item])
