"""The program `relayd`: the table of its commands, and what their errors look like.

Law: arguments only. A new command is a row in its module's `COMMANDS`, and its first word stands
in `MODULES`; its function lives with its noun.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import Final

from relayd.cli_command import DONE, FAULT, UNUSABLE, Command, CommandError, build_parser
from relayd.core.errors import RelayError
from relayd.ops import early
from relayd.ops.configfile import ConfigError

DESCRIPTION: Final = "A relay for LLM APIs: OpenAI, Anthropic and Gemini, private and counted."
GROUPS: Final = {
    "abuse": "Findings of the abuse rules.",
    "accounts": "Accounts: who pays, and owns API keys.",
    "audit": "The audit log: who did what to whose data.",
    "balance": "Balances: what accounts can still spend.",
    "handover": "Handovers: another company takes over the business and its data.",
    "consents": "What account holders agreed to.",
    "documents": "The privacy policy, the terms and other documents, in versions.",
    "fapiao": "Fapiao: applications, export to the bookkeeper, issued files.",
    "invoices": "Invoices and receipts, month by month.",
    "keys": "API keys: what clients send.",
    "ledger": "The books: call records and money.",
    "mail": "Mail to account holders.",
    "notices": "Notices on every page of the console, and by mail.",
    "operators": "Operators: accounts with a role in the console.",
    "codes": "Codes that give credit.",
    "orders": "Orders: top-ups at payment partners.",
    "plans": "Plans: what accounts pay.",
    "prices": "Prices: what calls cost.",
    "requests": "Lawful requests: what authorities ask for, and what they get.",
    "store": "The store's keys.",
    "tickets": "Tickets: questions and reports of account holders.",
}
MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "cli_serve": ("serve", "demo",),
    "cli_reflect": ("reflect",),
    "cli_check": ("check",),
    "cli_doctor": ("doctor",),
    "cli_top": ("top",),
    "cli_accounts": ("accounts",),
    "cli_operators": ("operators",),
    "cli_keys": ("keys",),
    "cli_limits": ("accounts", "keys",),
    "cli_balance": ("balance",),
    "cli_plans": ("plans", "balance", "codes",),
    "cli_orders": ("orders",),
    "cli_usage": ("usage", "ledger",),
    "cli_invoices": ("invoices",),
    "cli_fapiao": ("fapiao",),
    "cli_retention": ("retention",),
    "cli_tickets": ("tickets",),
    "cli_requests": ("requests",),
    "cli_handover": ("handover",),
    "cli_documents": ("documents",),
    "cli_consents": ("consents",),
    "cli_notices": ("notices",),
    "cli_mail": ("mail",),
    "cli_audit": ("audit",),
    "cli_abuse": ("abuse",),
    "cli_canary": ("audit-canary",),
    "cli_prices": ("prices",),
    "cli_backup": ("backup", "restore",),
    "cli_keyring": ("store",),
    "cli_inventory": ("inventory",),
}
"""The modules with commands, in the order of the help, and the first words of theirs.

A command imports its own module alone: those of the daemon bring the whole program with them.
"""
DAEMON: Final = "serve"
"""The command that signals are for from its first moment on."""
_INTERRUPTED: Final = 130
"""What a shell reports for a program that SIGINT ended."""


def commands(words: Iterable[str] = ()) -> list[Command]:
    """The commands of the modules that have one of these first words; of all where none has."""
    asked = set(words)
    modules = [name for name, own in MODULES.items() if asked.intersection(own)]
    return [command for name in modules or MODULES
            for command in import_module(f"relayd.{name}").COMMANDS]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Unusable arguments raise SystemExit(2)."""
    _open_what_is_closed()
    _write_what_cannot_be_written()
    words = sys.argv[1:] if argv is None else argv
    try:
        with early.signals() if DAEMON in words else nullcontext():
            return _run(words)
    except CommandError as error:
        return _fail(str(error), error.exit_code)
    except RelayError as error:
        where = f"{error.param}: " if error.param else ""
        code = UNUSABLE if error.kind.side == "client" else FAULT
        return _fail(f"{where}{error.kind.message} {error.detail}".rstrip(), code)
    except ConfigError as error:
        return _fail(str(error), UNUSABLE)
    except EOFError:  # a question was answered by the end of the input
        return _fail("Nothing was done.", UNUSABLE)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; nothing may be written at exit either
        _write_no_more()
        return DONE
    except OSError as error:  # a full disk behind `>` among others
        _write_no_more()
        return _fail(": ".join(str(each) for each in (error.filename, error.strerror) if each)
                     or type(error).__name__, FAULT)


def _loaded(words: Iterable[str]) -> list[Command]:
    """The commands for these words. What is loaded stays; the collector, which would look through
    it again and again, takes a sixth of the time (1.10 s of CPU with it, 0.93 without)."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return commands(words)
    finally:
        if collects:
            gc.enable()


def _run(words: Sequence[str]) -> int:
    found = _loaded(words)
    groups = {each.name.partition(" ")[0] for each in found}
    parser = build_parser("relayd", DESCRIPTION, {
        group: text for group, text in GROUPS.items() if group in groups}, found)
    try:
        arguments = parser.parse_args(words)
    except SystemExit:
        sys.stdout.flush()  # the help may be more than its reader wants
        raise
    code = int(arguments.run(arguments))
    sys.stdout.flush()
    return code


def _open_what_is_closed() -> None:
    """A shell's `<&-` or `>&-`: nothing comes, and nobody reads."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _write_what_cannot_be_written() -> None:
    """A character that the terminal's encoding has not is written as its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"relayd: {line}\n")
    return exit_code
