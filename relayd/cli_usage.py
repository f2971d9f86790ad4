"""The commands `relayd usage` and `relayd ledger verify`."""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import suppress
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, option
from relayd.cli_reconcile import print_comparison, print_drift
from relayd.cli_store import in_configured_store, in_store
from relayd.control import account, journal, key, ledger, posting, rating, retention, usage
from relayd.control.reconcile import TOLERANCE
from relayd.control.subscription import plans_of
from relayd.core.errors import RelayError
from relayd.core.plan import Tariff
from relayd.core.record import CallRecord
from relayd.core.rollup import Sums
from relayd.core.timestamp import parse_past, rfc3339, rfc3339_or_none
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store.db import Database
from relayd.store.posting import Wrong
from relayd.store.record import CallFilter
from relayd.store.rollup import Difference, Total

_CALL_HEADS: Final = ("STARTED", "ACCOUNT", "KEY", "MODEL", "PROVIDER", "STATUS", "OUTCOME",
                      "INPUT", "OUTPUT", "SOURCE", "MS", "ID")
_TOTAL_HEADS: Final = ("ACCOUNT", "MODEL", "CALLS", "INPUT", "OUTPUT", "CACHE READ",
                       "CACHE WRITTEN", "REASONING", "AMOUNT")
Names = dict[str, str]


async def _wanted(db: Database, arguments: argparse.Namespace) -> CallFilter:
    now_ms = clock.unix_ms()
    since, until = arguments.since, arguments.until
    wanted = CallFilter(
        account=None if arguments.account is None else (
            await account.find(db, arguments.account)).id,
        since_ms=0 if since is None else parse_past(since, now_ms, "since"),
        until_ms=None if until is None else parse_past(until, now_ms, "until"),
    )
    if wanted.until_ms is not None and wanted.until_ms < wanted.since_ms:
        raise RelayError("invalid_time", param="until")
    return wanted


def _one_thing(arguments: argparse.Namespace) -> None:
    """What is asked for is one thing: an option that another one would outdo is refused."""
    asked = [name for name, given in (
        ("--calls", arguments.calls), ("--drift", arguments.drift),
        ("--compare", arguments.compare is not None)) if given]
    if len(asked) > 1:
        raise CommandError(f"{' and '.join(asked)} are different questions: ask one at a time.")
    for name in ("provider", "tolerance"):
        if getattr(arguments, name) is not None and arguments.compare is None:
            raise CommandError(f"--{name} belongs to --compare.")


async def _usage(db: Database, arguments: argparse.Namespace) -> int:
    _one_thing(arguments)
    wanted = await _wanted(db, arguments)
    if arguments.compare is not None:
        return await print_comparison(db, arguments, wanted)
    if arguments.drift:
        return await print_drift(db, arguments, wanted)
    if arguments.calls:
        if arguments.json:
            await output.items(usage.view(each) async for each in usage.calls(db, wanted))
        else:
            await _calls_table(db, wanted)
        return DONE
    totals = await usage.totals(db, wanted)
    if arguments.json:
        output.document(_totals_view(wanted, totals))
    else:
        _totals_table(totals, await account.names(db, {total.account for total in totals}))
    return DONE


async def _calls_table(db: Database, wanted: CallFilter) -> None:
    async for page in output.paged(usage.calls(db, wanted)):
        accounts = await account.names(db, {record.account for record in page})
        keys = await key.names(db, {record.key for record in page})
        output.table(_CALL_HEADS, [_call_row(record, accounts, keys) for record in page])


def _call_row(record: CallRecord, accounts: Names, keys: Names) -> tuple[object, ...]:
    return (
        output.moment(record.started_at_ms), accounts.get(record.account, record.account),
        keys.get(record.key, record.key), record.model, record.provider, record.status,
        record.error or record.outcome, record.input_tokens, record.output_tokens,
        record.usage_source, record.duration_ms, record.id,
    )


def _totals_view(wanted: CallFilter, totals: list[Total]) -> dict[str, object]:
    """`{since, until, calls, ...tokens, amounts, by_model}`; amounts only add up by currency."""
    amounts: Counter[str] = Counter()
    for total in totals:
        amounts[total.currency] += total.sums.amount_nano
    everything = _added(totals)._asdict()
    del everything["amount_nano"]
    return {
        "since": rfc3339(wanted.since_ms) if wanted.since_ms else None,
        "until": rfc3339_or_none(wanted.until_ms),
        **everything,
        "amounts": [{"currency": name, "amount_nano": nano} for name, nano in amounts.items()],
        "by_model": [
            {"account": total.account, "model": total.model, "currency": total.currency,
             **total.sums._asdict()}
            for total in totals
        ],
    }


def _added(totals: list[Total]) -> Sums:
    fields = range(len(Sums._fields))
    return Sums(*(sum(total.sums[index] for total in totals) for index in fields))


def _totals_table(totals: list[Total], accounts: Names) -> None:
    rows = [
        (accounts.get(total.account, total.account), total.model, *_shown(total.sums),
         output.amount(total.sums.amount_nano, total.currency))
        for total in totals
    ]
    rows.append(("all", None, *_shown(_added(totals)), None))
    output.table(_TOTAL_HEADS, rows)


def _shown(sums: Sums) -> tuple[int, ...]:
    return (sums.calls, sums.input_tokens, sums.output_tokens, sums.cache_read_input_tokens,
            sums.cache_creation_input_tokens, sums.reasoning_output_tokens)


async def _verify(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = await ledger.verify(db)
    logged = await journal.verify(db)
    tariff = Tariff(config.prices, config.plans, await plans_of(db))
    rated = await rating.verify(db, tariff)
    books = await posting.verify(db)
    if arguments.json:
        output.document([*(ledger.view(each) for each in found),
                         *(posting.view_wrong(each) for each in books),
                         *(journal.view(each) for each in logged.mismatches),
                         *(rating.view(each) for each in rated.unlike)])
    else:
        _print_verdict(found, logged)
        _print_kept(await retention.kept_from_ms(db))
        _print_books(books)
        _print_rating(rated)
    # amounts are no fault: who edits the price file does not change what was rated by it
    return FAULT if found or logged.mismatches or books else DONE


def _print_kept(from_ms: int) -> None:
    if from_ms:
        output.text(f"Of calls before {output.moment(from_ms)} only the totals are kept; those can"
                    " be held against nothing.")


def _print_books(books: list[Wrong]) -> None:
    if not books:
        output.text("The books of money are right: every transfer sums to zero, and every balance"
                    " is what its entries make.")
        return
    output.table(("BOOKS", "WHERE", "STORED", "ENTRIES"), books)


def _print_rating(rated: rating.Finding) -> None:
    if rated.compared:
        output.text(f"{rated.compared} calls have a price today; {rated.differing} of them were"
                    " rated otherwise when they were recorded.")
    if rated.unlike:
        output.table(("CALL", "MODEL", "RECORDED", "BY TODAY'S PRICES"), [
            (each.record.id, each.record.model,
             output.amount(each.record.amount_nano, each.record.currency),
             output.amount(each.amount_nano, each.currency)) for each in rated.unlike])


def _print_verdict(found: list[Difference], logged: journal.Finding) -> None:
    if not found and not logged.mismatches:
        output.text("The ledger is right: every total is what its call records add up to.")
        output.text(f"The journal has {logged.closed} closed calls; each is recorded as it says"
                    + (f", but {logged.waiting} that wait for the store." if logged.waiting
                       else "."))
    if logged.torn_bytes:
        output.text(f"{logged.torn_bytes} bytes of the journal cannot be read.")
    if found:
        output.table(("HOUR", "ACCOUNT", "KEY", "MODEL", "APPLICATION", "TOTAL OF", "STORED",
                      "RECORDS"), [
            (output.moment(each.key.hour_ms), each.key.account, each.key.key,
             *ledger.what(each), *difference)
            for each in found for difference in ledger.changed(each)])
    if logged.mismatches:
        output.table(("CALL", "FIELD", "STORED", "JOURNAL"), [
            (each.logged.id, *difference) for each in logged.mismatches
            for difference in journal.differences(each.logged, each.stored)])


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (share := float(text)) <= 1:
            return share
    raise argparse.ArgumentTypeError("give a share from 0 to 1")


_TIMES: Final = "a date, a time (RFC 3339, UTC unless it says otherwise), or a span such as 7d"

COMMANDS: Final = (
    Command("usage", "Print what was used: totals, or every call.",
            in_store(_usage), prints_data=True, options=(
                option("--calls", action="store_true", help="print the call records"),
                option("--account", "--email", metavar="E", dest="account",
                       help="only those of this account: its e-mail address or id"),
                option("--since", metavar="T", help=f"calls started at T or later: {_TIMES}"),
                option("--until", metavar="T", help="calls started before T"),
                option("--drift", action="store_true",
                       help="compare what providers reported with the relay's own count"),
                option("--compare", metavar="FILE",
                       help="compare a provider's exported usage (OpenAI, Anthropic; CSV or JSON)"
                            " with the records, by day and model"),
                option("--provider", metavar="P", action="append",
                       help="with --compare: the provider, by its name in the configuration, that"
                            " the export is of (repeatable; default: all of its API)"),
                option("--tolerance", metavar="X", type=_share,
                       help=f"with --compare: the share that may differ (default: {TOLERANCE})"),
            ), epilog="With --drift or --compare: exit code 1 where figures differ too much."),
    Command("ledger verify", "Recompute totals and balances; compare records with the journal.",
            in_configured_store(_verify), prints_data=True,
            epilog="Exit code 1 and a list where a total is wrong, or a call of the journal is not"
                   " recorded as it says. Amounts that today's prices would not give are listed"
                   " too, but are no fault."),
)
