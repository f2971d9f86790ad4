"""The commands on prices: check a file, list what is in force, import from public price files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, UNUSABLE, Command, CommandError, configured, option
from relayd.core.money import CURRENCY, CURRENCY_DEFAULT, decimal
from relayd.core.price import KINDS, NO_PRICES, Price, PriceBook, matches
from relayd.core.timestamp import DAY_MS, parse_past, rfc3339
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_fault import ConfigError, Fault
from relayd.ops.pricefile import PROVIDER, read_price_file
from relayd.ops.priceimport import FORMATS, NotPrices, read_import
from relayd.ops.pricetext import SameMoment, entries_text, news
from relayd.ops.pricewrite import add_to_file

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
_HEADS: Final = ("MODEL", "PROVIDER", "FROM", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITTEN",
                 "OTHERS", "ABOVE", "CURRENCY")
_COLUMNS: Final = ("input", "output", "cache_read", "cache_creation")
_DATE_CHARS: Final = 10


def _check(arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    unpriced: list[tuple[str, str]] = []
    faults: list[Fault] = []
    try:
        if arguments.file is None:
            config = configured(arguments)
            book = config.prices
            unpriced = list(_unpriced(config, now_ms))
        else:
            book = _book(arguments.file)
    except ConfigError as error:
        if not arguments.json:
            raise
        book, faults = NO_PRICES, error.faults
    in_force = len(book.in_force(now_ms))
    if arguments.json:
        output.document({
            "usable": not faults, "faults": [asdict(fault) for fault in faults],
            "unpriced": [{"model": model, "provider": name} for name, model in unpriced],
            "prices": len(book), "in_force": in_force,
        })
        return UNUSABLE if faults else DONE
    for provider, model in unpriced:
        output.text(f"no price: {model} of {provider}")
    output.text(f"usable: {len(book)} prices, {in_force} of them in force now")
    return DONE


def _book(path: str) -> PriceBook:
    """The book of a file; what is wrong with it ends the command."""
    reading = read_price_file(path)
    if reading.faults:
        raise ConfigError(reading.faults, path)
    return reading.book


def _unpriced(config: Config, now_ms: int) -> Iterator[tuple[str, str]]:
    """(provider, model) of deployments without a price; patterns are left out, they have none."""
    for route in config.routes:
        for deployment in route.deployments:
            names = [name for name in (deployment.model, route.pattern) if name]
            plain = [name for name in names if "*" not in name]
            prices = (config.prices.find(deployment.provider, name, now_ms) for name in plain)
            if plain and not any(prices):
                yield deployment.provider, plain[0]


def _list(arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    at_ms = now_ms if arguments.at is None else parse_past(arguments.at, now_ms, "at")
    book = configured(arguments).prices if arguments.file is None else _book(arguments.file)
    wanted = arguments.model
    found = [price for price in (book.prices if arguments.all else book.in_force(at_ms))
             if wanted is None or matches(price.model, wanted) or matches(wanted, price.model)]
    if arguments.json:
        output.document([_view(price) for price in found])
    else:
        output.table(_HEADS, [_row(price) for price in found])
    return DONE


def _view(price: Price) -> dict[str, object]:
    return {
        "model": price.model, "provider": price.provider,
        "from": rfc3339(price.since_ms) if price.since_ms else None, "currency": price.currency,
        **_texts(price.prices),
        "tiers": [{"above": tier.above, **_texts(tier.prices)} for tier in price.tiers],
        "source": price.source,
    }


def _texts(prices: Sequence[int]) -> dict[str, str]:
    return {name: decimal(nano) for name, nano in zip(KINDS, prices, strict=True)}


def _row(price: Price) -> tuple[object, ...]:
    prices = price.prices._asdict()
    usual = {0, prices["input"], prices["output"], prices["cache_creation"]}
    others = [f"{name} {decimal(nano)}" for name, nano in prices.items()
              if name not in _COLUMNS and nano not in usual]
    since = None if not price.since_ms else rfc3339(price.since_ms)
    if since is not None and price.since_ms % DAY_MS == 0:
        since = since[:_DATE_CHARS]
    return (price.model, price.provider, since, *(decimal(prices[name], 2) for name in _COLUMNS),
            ", ".join(others) or None, ", ".join(str(tier.above) for tier in price.tiers) or None,
            price.currency)


def _import(arguments: argparse.Namespace) -> int:
    try:
        found = read_import(_text(arguments.file), arguments.format, arguments.vendor or ())
    except NotPrices as error:
        raise CommandError(f"{arguments.file}: no prices in the format {arguments.format}: {error}"
                           ) from None
    prices = [_completed(price, arguments) for price in found.prices
              if arguments.models is None or matches(arguments.models, price.model)]
    try:
        new = news(_known(arguments), prices)
    except SameMoment as error:
        raise CommandError(f"{error.args[0]}: there is already a price from the same moment on. "
                           "Entries are never changed: give --from with a later time") from None
    title = f"Imported {rfc3339(clock.unix_ms())[:_DATE_CHARS]}, format {arguments.format}."
    said = (f"{len(new)} new prices, {len(prices) - len(new)} as they were, "
            f"{len(found.skipped)} models whose price cannot be said here")
    if arguments.output is None:
        output.text(entries_text(f"{title} {said}", new).rstrip("\n"))
        return DONE
    if new:
        _write(Path(arguments.output), entries_text(title, new))
    output.text(f"{arguments.output}: {said}")
    return DONE


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({type(error).__name__})") from None
    if len(data) > FILE_BYTES_MAX:
        raise CommandError(f"{path}: is larger than 64 MiB")
    return data.decode("utf-8", "replace")


def _completed(price: Price, arguments: argparse.Namespace) -> Price:
    now_ms = clock.unix_ms()
    since_ms = now_ms - now_ms % DAY_MS
    if arguments.since is not None:
        since_ms = parse_past(arguments.since, now_ms, "from")
    return replace(price, since_ms=since_ms, currency=arguments.currency,
                   provider=arguments.provider)


def _known(arguments: argparse.Namespace) -> PriceBook:
    """What the new prices are compared with: nothing where they go to the terminal."""
    path = arguments.against or arguments.output
    if path is None or (path != arguments.against and not Path(path).exists()):
        return NO_PRICES
    return _book(path)


def _write(path: Path, text: str) -> None:
    try:
        add_to_file(path, text)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({type(error).__name__})") from None


def _currency(text: str) -> str:
    if not CURRENCY.fullmatch(text):
        raise argparse.ArgumentTypeError("three capitals, as in USD or CNY")
    return text


def _provider(text: str) -> str:
    if not PROVIDER.fullmatch(text):
        raise argparse.ArgumentTypeError("a provider's name, or a pattern")
    return text


_MINE: Final = "(default: the configuration's)"

COMMANDS: Final = (
    Command("prices check", "Check a price file: every fault, and what would be right.", _check,
            (option("file", metavar="FILE", nargs="?", help=f"the price file {_MINE}"),),
            prints_data=True,
            epilog="Without FILE also lists what is served and has no price."),
    Command("prices list", "Print the prices that are in force.", _list, (
        option("file", metavar="FILE", nargs="?", help=f"the price file {_MINE}"),
        option("--model", metavar="M", help="only those of a model, or of a pattern with *"),
        option("--at", metavar="T", help="those in force at this time instead of now"),
        option("--all", action="store_true", help="past and future ones too"),
    ), prints_data=True),
    Command("prices import", "Take prices from a public price file, as new dated entries.",
            _import, (
                option("file", metavar="FILE", help="the public price file (JSON)"),
                option("--format", required=True, choices=sorted(FORMATS),
                       help="what it is: LiteLLM's model_prices_and_context_window.json,"
                            " OpenRouter's /api/v1/models or models.dev's api.json"),
                option("--models", metavar="PATTERN", help="only these models; may hold *"),
                option("--vendor", metavar="V", action="append",
                       help="whose models, as the file names them; may be repeated (default: some"
                            " makers of models)"),
                option("--provider", metavar="P", type=_provider, default="*",
                       help="the provider whose prices they are, by its name in the configuration"
                            " or a pattern (default: any)"),
                option("--currency", metavar="C", type=_currency, default=CURRENCY_DEFAULT,
                       help="what the file's figures are in (default: USD)"),
                option("--from", metavar="T", dest="since",
                       help="from when on they hold (default: today, UTC)"),
                option("--against", metavar="FILE",
                       help="leave out what this price file says already (default: --output)"),
                option("--output", metavar="FILE",
                       help="add them to this price file instead of printing them"),
            ), epilog="Nothing is fetched. Entries that are there already stay as they are."),
)
