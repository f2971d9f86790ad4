"""Answers: what templates may do, and where redirects lead."""

from __future__ import annotations

import re
from importlib import resources

import jinja2
import pytest

from relayd.console import page

FOLDER = resources.files("relayd.console") / "templates"
TEMPLATES = sorted(
    str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_compiles(name: str) -> None:
    page.environment().get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_inline_script_or_style_and_nothing_from_elsewhere(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"(src|href|action)\s*=\s*[\"'](https?:)?//", text)
    assert "|safe" not in text.replace(" ", "") or "svg" in text or "mark" in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_part_that_a_template_takes_in_is_used(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    taken = re.findall(r"{% from .* import (.*) with context %}", text)
    assert [part for part in ", ".join(taken).split(", ") if part and f"{part}(" not in text] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_value_has_the_name_of_a_part(name: str) -> None:
    """A page's value of that name would not be shown, but what jinja calls the part."""
    text = (FOLDER / name).read_text("utf-8")
    taken = ", ".join(re.findall(r"{% from .* import (.*) with context %}", text)).split(", ")
    tags = " ".join(re.findall(r"{[{%](?! from| block)(.*?)[}%]}", text))
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", tags)
    assert [part for part in taken
            if part and re.search(rf"(?<![\w.]){part}\b(?![\w(=]| = )", bare)] == []


def test_values_are_escaped_and_unknown_names_are_mistakes() -> None:
    environment = page.environment()
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ nobody }}").render()


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "", "/\\evil"])
def test_a_redirect_stays_here(path: str) -> None:
    with pytest.raises(AssertionError):
        page.redirect(path)


def test_static_files_are_named_by_their_content() -> None:
    name = page.static("relayd.css").removeprefix(page.STATIC_PREFIX)
    assert re.fullmatch(r"relayd\.[0-9a-f]{12}\.css", name)
    assert page.static_files()[name][1] == "text/css"
    with pytest.raises(AssertionError):
        page.static("nothing.css")


def test_moments_are_told_in_utc() -> None:
    filters = page.environment().filters
    assert filters["moment"](1_800_000_000_000) == "2027-01-15 08:00 UTC"
    assert filters["day"](1_800_000_000_000) == "2027-01-15" and filters["day"](None) == ""
    assert filters["number"](1234567) == "1,234,567"
