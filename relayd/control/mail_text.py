"""What mails say: texts in both languages, filled in, as plain text and as minimal HTML.

Law: a mail has no picture, no script, no style and no link but its own: opening it tells nobody.
Every field is escaped; who runs the service stands below each mail.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Final

from relayd.core.mail import MAIL_KINDS
from relayd.core.operator import Operator

FRAME: Final = "frame"
WORDS: Final = "words"
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z")
_CODE: Final = re.compile(r"([\w.]+)(?: (\d{4}-\d\d-\d\d))?")
"""A code, and until when what it stands for is kept."""
_VERBATIM: Final = frozenset({"certificate"})
"""Values whose bytes are signed."""
_URL: Final = re.compile(
    r"https?://[^\s<>，。；：！？、（）《》「」【】“”]*[^\s<>，。；：！？、（）《》「」【】“”.,;:!?)\]]")
"""An address, without the punctuation of the sentence that it stands in."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as it is sent."""

    subject: str
    text: str
    html: str


@cache
def texts() -> Mapping[str, Mapping[str, Any]]:
    """Every table of the files in mail_texts: kinds, `frame` and `words`."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted((resources.files("relayd.control") / "mail_texts").iterdir(), key=str):
        if file.name.endswith(".toml"):
            tables = tomllib.loads(file.read_text("utf-8"))
            if not tables.keys() <= {*MAIL_KINDS, FRAME, WORDS} - found.keys():
                raise AssertionError(f"{file.name} has what is no kind of mail, or is there twice")
            found |= tables
    return found


def render(
    kind: str, language: str, fields: Mapping[str, str], operator: Operator,
    unsubscribe: str | None = None,
) -> Rendered:
    """The mail of this kind. `unsubscribe` is the link of mail that can be unsubscribed."""
    table = texts()[kind]
    values = {name: _shown(name, value, language) for name, value in fields.items()}
    values["service"] = operator.service
    frame = texts()[FRAME]
    body = [frame["greeting"][language], *_paragraphs(table["body"][language], values)]
    foot = list(_foot(frame, MAIL_KINDS[kind].mail_class, language, operator, unsubscribe))
    subject = " ".join(table["subject"][language].format_map(values).split())
    text = "\n\n".join([*body, "-- \n" + "\n".join(foot)]) + "\n"
    return Rendered(subject, text, _html(subject, language, body, foot))


def _paragraphs(text: str, values: Mapping[str, str]) -> list[str]:
    return [piece.format_map(values).strip("\n") for piece in text.strip().split("\n\n")]


def _shown(name: str, value: str, language: str) -> str:
    """A code in words, a time as people read it, anything else as it is."""
    if name in _VERBATIM:
        return value
    words = texts()[WORDS].get(name, {})
    parts = [_CODE.fullmatch(part) for part in value.split("/")]
    if all(part is not None and part[1] in words for part in parts):
        said = [(words[part[1]][language], part[2]) for part in parts if part is not None]
        if said[0][1]:
            return "\n".join(f"{until}: {word}" for word, until in said)
        return " / ".join(word for word, _ in said)
    return _TIME.sub(r"\1 \2 UTC", value)


def _foot(
    frame: Mapping[str, Any], mail_class: str, language: str, operator: Operator,
    unsubscribe: str | None,
) -> Iterator[str]:
    if mail_class == "service" or unsubscribe:
        yield frame[mail_class][language].format(unsubscribe=unsubscribe)
    who = {"service": operator.service, "name": operator.said("name", language),
           "address": operator.said("address", language)}
    yield frame["operated" if who["name"] else "unnamed"][language].format(**who)
    if operator.contact:
        yield frame["contact"][language].format(contact=operator.contact)
    if operator.icp:
        yield frame["icp"][language].format(icp=operator.icp)


def _html(subject: str, language: str, body: list[str], foot: list[str]) -> str:
    tag = "zh-CN" if language == "zh" else "en"
    pieces = "\n".join(f"<p>{_linked(piece)}</p>" for piece in body)
    small = "<br>\n".join(_linked(line) for line in foot)
    return (f'<!DOCTYPE html>\n<html lang="{tag}"><head><meta charset="utf-8">'
            f"<title>{escape(subject)}</title></head>\n<body>\n{pieces}\n<hr>\n"
            f"<p><small>{small}</small></p>\n</body></html>\n")


def _linked(text: str) -> str:
    """The text escaped, its addresses as links, its line breaks kept."""
    found, at = [], 0
    for match in _URL.finditer(text):
        url = escape(match[0])
        found += [escape(text[at:match.start()]), f'<a href="{url}">{url}</a>']
        at = match.end()
    return "".join([*found, escape(text[at:])]).replace("\n", "<br>\n")
