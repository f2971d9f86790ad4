"""docs/log-schema.json is what the log's closed fields say, and real lines keep to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema

from relayd.core.limit import Limits
from relayd.ops.accesslog import EVENT
from relayd.ops.config import LimitsConfig, LogConfig
from relayd.ops.logging import _SHAPES, _VOCABULARIES, FIELDS, LEVELS
from tests.fakes.daemon import Lane, plain_answer
from tests.fakes.rawclient import RawClient, request_bytes
from tests.shared import ROOT

PAGE = ROOT / "docs" / "log-schema.json"
_FAULT = {"type": "object", "additionalProperties": False, "properties": {
    "key": {"type": "string"}, "line": {"type": ["integer", "null"]},
    "problem": {"type": "string"}, "remedy": {"type": ["string", "null"]}}}


def _field(kind: str) -> dict[str, Any]:
    if kind == "number":
        return {"type": ["number", "null"]}
    if kind == "flag":
        return {"type": ["boolean", "null"]}
    if kind == "fault":
        return _FAULT
    if kind in _VOCABULARIES:
        return {"enum": [*sorted(_VOCABULARIES[kind]), None]}
    return {"type": ["string", "null"], "pattern": f"^(?:{_SHAPES[kind].pattern})$"}


def schema() -> dict[str, Any]:
    """The schema of a line, made from the tables that the logger goes by."""
    own = {
        "time": {"type": "string", "format": "date-time"}, "level": {"enum": list(LEVELS)},
        "event": {"type": "string", "pattern": f"^{_SHAPES['word'].pattern}$"},
        "where": {"type": "string"}, "source": {"type": "string"}, "place": {"type": "string"},
        "exception": {"type": "string"}, "causes": {"type": "array", "items": {"type": "string"}},
        "frames": {"type": "array", "items": {"type": "string"}},
        "bad_fields": {"type": "integer"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of relayd's log", "type": "object",
        "required": ["time", "level", "event"], "additionalProperties": False,
        "properties": own | {name: _field(kind) for name, kind in sorted(FIELDS.items())}}


def test_the_page_is_the_tables() -> None:
    assert json.loads(PAGE.read_text()) == schema()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


async def test_real_lines(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(PAGE.read_text()))
    async with Lane(tmp_path, plain_answer, patterns=("m", "tight"), log=LogConfig("all"),
                    limits=LimitsConfig(models={"tight": Limits(requests_per_minute=1)})) as lane:
        for model in ("m", "tight", "tight", "nothing"):
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
            async with RawClient(lane.address) as client:
                await client.send(
                    request_bytes("/v1/chat/completions", lane.key, body.encode()))
                await client.reply()
        await lane.settled(4)
        try:
            raise ValueError("canary")
        except ValueError as error:
            lane.app.logger.fault("event loop", error)
    lines = [json.loads(line) for line in lane.log.getvalue().splitlines()]
    for line in lines:
        validator.validate(line)
    calls = [line for line in lines if line["event"] == "call"]
    assert [line["code"] for line in calls] == [None, None, "rate_limited", "unknown_model"]
    assert {"started", "fault", "stopped"} <= {line["event"] for line in lines}
    assert not any("bad_fields" in line for line in lines) and "canary" not in lane.log.getvalue()


_EVENT = re.compile(
    r'(?:\b_?log(?:ger)?\.(?:event|info|warning|error|debug)[(,]\s?|\btell\('
    r'|notices\.warn\(|_write_paced\((?:"error"|name), |"event": |\bLasting\([^"]+, '
    r'|\bsuper\(\)\.__init__\()'
    r'\s*"([a-z0-9_]+)"')
_OVER = re.compile(r'\bLasting\([\w.]+,\s+"[a-z0-9_]+",\s+"([a-z0-9_]+)"')
"""The event that says that a fault has ended."""


def test_every_event_is_documented() -> None:
    in_code = {name for path in (ROOT / "relayd").rglob("*.py") for event in (_EVENT, _OVER)
               for name in event.findall(path.read_text("utf-8"))} | {EVENT}
    page = (ROOT / "docs" / "logs.md").read_text("utf-8")
    assert {row for row in re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)} == in_code
