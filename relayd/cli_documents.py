"""The commands `relayd documents ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store
from relayd.console.document import cookie_words
from relayd.control import document
from relayd.control.document import Release
from relayd.control.document_text import Drafts, drafts
from relayd.core.account import LANGUAGES
from relayd.core.actor import SHELL
from relayd.core.consent import ITEMS
from relayd.core.document import DOCUMENT_NAMES, GATES, changes
from relayd.core.timestamp import parse_future
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store.db import Database

_NAME: Final = option("document", choices=DOCUMENT_NAMES, help="which one")
_LANGUAGE: Final = option(
    "--language", choices=LANGUAGES, default="en", help="the language (default: en)")
_SIGNS: Final = {"same": "  ", "added": "+ ", "removed": "- "}


def _drafts(config: Config) -> Drafts:
    """The texts of now."""
    return drafts(config, cookie_words())


async def _list(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    texts = _drafts(config)
    editions = await document.listing(db, arguments.language)
    differ = [name for name in DOCUMENT_NAMES if await document.differing(db, name, texts)]
    if arguments.json:
        output.document({"versions": [document.view(each) for each in editions],
                         "differ": differ})
        return DONE
    output.table(("DOCUMENT", "VERSION", "KIND", "GATE", "IN FORCE FROM", "SHA-256"), [
        (each.name, each.version, each.kind, each.gate, output.moment(each.effective_at_ms),
         each.digest[:16]) for each in editions])
    for name in differ:
        output.text(f"{name} would read otherwise now: relayd documents show {name} --changes")
    return DONE


async def _show(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    name, language = arguments.document, arguments.language
    draft = _drafts(config)[name][language]
    if arguments.draft:
        if arguments.json:
            output.document({"document": name, "language": language, "text": draft})
        else:
            output.text(draft.rstrip("\n"))
        return DONE
    version = arguments.version
    if version is None:
        found = await document.current(db, name, language, clock.unix_ms())
    else:
        found = await document.get(db, name, version, language)
    differing = changes(found.body, draft) if arguments.changes else []
    if arguments.json:
        output.document({"version": document.view(found), **(
            {"changes": [line and {"sign": line[0], "line": line[1]} for line in differing]}
            if arguments.changes else {"text": found.body})})
        return DONE
    for line in differing:
        output.text("..." if line is None else _SIGNS[line[0]] + line[1])
    if not arguments.changes:
        output.text(found.body.rstrip("\n"))
    return DONE


async def _publish(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    now_ms = clock.unix_ms()
    effective = arguments.effective
    release = Release(
        kind=arguments.kind,
        summaries={"en": arguments.summary or "", "zh": arguments.summary_zh or ""},
        effective_at_ms=now_ms if effective is None else parse_future(
            effective, now_ms, "effective"),
        gate=arguments.gate, items=tuple(arguments.new_purposes or ()))
    texts = _drafts(config)
    if not arguments.yes and not output.agreed(
            f"Publish {arguments.document} as {arguments.kind}?"):
        raise CommandError("Nothing was published.")
    made = await document.publish(db, SHELL, arguments.document, texts, release, now_ms)
    if arguments.json:
        output.document(document.view(made))
    else:
        output.text(f"{made.name} version {made.version} is published; in force from"
                    f" {output.moment(made.effective_at_ms)}.")
        if made.kind == "material":
            output.text("It is announced on every page, and mailed to everybody.")
    return DONE


COMMANDS: Final = (
    Command("documents list", "List every version of every document.", in_configured_store(_list),
            (_LANGUAGE,), prints_data=True),
    Command("documents show", "Print a document: the version in force, another, or a draft.",
            in_configured_store(_show), (
                _NAME, _LANGUAGE,
                option("--version", type=int, metavar="N", help="this version"),
                option("--draft", action="store_true", help="as it would be published now"),
                option("--changes", action="store_true",
                       help="what the draft changes in the version"),
            ), prints_data=True),
    Command("documents publish", "Publish a document as the configuration makes it now.",
            in_configured_store(_publish), (
                _NAME,
                option("--kind", choices=("editorial", "material"), required=True,
                       help="editorial: the meaning is the same; material: everybody is told"),
                option("--summary", metavar="TEXT", help="what changed, in English"),
                option("--summary-zh", metavar="TEXT", help="the same in Chinese"),
                option("--effective", metavar="TIME",
                       help="from when on it is in force (default: now)"),
                option("--gate", choices=GATES, default="none",
                       help="what waits for agreement: nothing, pages, or new keys as well"),
                option("--new-purposes", nargs="+", choices=tuple(ITEMS), metavar="ITEM",
                       help="consents that are asked for anew"),
                option("--yes", "-y", action="store_true", help="do not ask"),
            ), prints_data=True,
            epilog="A published version stays as it is. cookies, subprocessors and hosting are"
                   " published by the daemon when their facts change."),
)
