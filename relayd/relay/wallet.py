"""Wallets: prepaid balances, from which calls set money aside before they are sent.

Law: nothing is awaited: what the store says of balances is brought here by a job. An account
that the store was not asked about yet has nothing. Without `[billing] prepaid` a call pays for one
look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.plan import Tariff, marked_up
from relayd.core.price import NO_PRICES, Price
from relayd.core.record import CallRecord
from relayd.core.reservation import Demand, Quantity, Wallet, cost
from relayd.core.usage import Usage
from relayd.relay.counting import UNCOUNTED
from relayd.relay.exchange import Exchange
from relayd.relay.plan import Plan
from relayd.wire.demand import IMAGE_TOKENS, IMAGE_TOKENS_MAX, bound
from relayd.wire.estimate import UPLOAD_TOKENS, tokens_about_and_at_most
from relayd.wire.reply_media import BYTES_PER_SECOND, RANKED_MAX, RANKED_TOKENS

Account = str
Currency = str
Purse = tuple[Account, Currency]
"""Whose money, of which currency."""
AUDIO_BYTES_PER_SECOND, AUDIO_BYTES_PER_SECOND_MIN = 4_000, 750
"""Of speech that is compressed, and that Opus compresses as hard as it can (6 kbit/s): an upload
is about as long as its bytes by the one, and no longer than by the other."""
HEARD_TOKENS, SAID_TOKENS = 20, 8
"""Tokens of a second of speech, as audio and as text, where those are what is paid."""
SPEECH_TOKENS, SLOWER = 20, 4
"""Tokens of a second of speech that is made, and how much slower than usual it may be."""
IMAGES_MAX: Final = 10
"""What one request may ask for."""
_AN_HOUR: Final = (b'1h"', b"\\u0031", b"\\u0068")
_SEARCH: Final = (
    (b"_search", (b"web_search", b"oogle_search", b"x_search")),
    (b"Search", (b"oogleSearch", b"enterpriseWebSearch")),
    (b":online", (b":online",)),
    (b"\\u00", (*(b"\\u00%d" % row for row in range(4, 8)), b"\\u003a", b"\\u003A")))
"""What names a provider's own tool, by what is in each of these names: most bodies are looked
through four times for it, and not for every name. A letter of a name may be escaped. A model whose
name ends in `:online` searches at OpenRouter in every call."""
SEARCHES, SEARCHES_MAX = 1, 20
"""Of the web, that a call makes which may make any: usually, and at most; it says no bound."""
_MANY_CONTEXTS: Final = frozenset({
    "completions", "embeddings", "moderations", "rerank", "batch_embed", "speech"})
"""Operations that may be asked about many inputs at once."""
SESSION_TOKENS: Final = 4_096
"""What a realtime session holds from its start; it takes more as it uses more."""


class Posted(NamedTuple):
    """What the store says of one purse: its money, and how far below 0 it may go."""

    nano: int
    credit: int


class Wallets:
    """All wallets. `tariff` gives what calls cost whom now."""

    def __init__(self, tariff: Callable[[], Tariff] | None = None) -> None:
        self.tariff = tariff or (lambda: Tariff(NO_PRICES))
        self.refused = 0
        """Calls that no balance covered."""
        self._posted: dict[Purse, Posted] = {}
        self._wallets: dict[Purse, Wallet] = {}

    def admit(self, exchange: Exchange, plan: Plan, raw: bytes | None) -> None:
        """Sets aside what the call may cost at the dearest of its deployments.

        Raises `balance_short` or `balance_held`. `raw` is the JSON body; None: an upload.
        """
        billing = exchange.policy.billing
        if not billing.prepaid:
            return
        assert exchange.grant is not None
        demands = self._demands(exchange, plan, raw)
        if not demands:
            return
        if len(demands) == 1:
            [(currency, demand)] = demands.items()
        else:
            currency, demand = max(demands.items(), key=lambda item: item[1].most)
        wallet = self._wallet(exchange.grant.account, currency)
        try:
            exchange.hold = wallet.reserve(demand)
        except RelayError:
            self.refused += 1
            raise

    def _demands(
        self, exchange: Exchange, plan: Plan, raw: bytes | None
    ) -> dict[Currency, Demand]:
        """What the call may cost, by currency; nothing where no deployment has a price."""
        about, most = self._quantities(exchange, plan, raw)
        assert exchange.grant is not None
        markup = self.tariff().markup(exchange.grant.account, exchange.model)
        found: dict[Currency, Demand] = {}
        for price in _prices(exchange, plan):
            hour = _keeps_an_hour(price, raw)
            usual, dear = about, most
            if most.output_tokens and _searches(price, raw):
                usual, dear = (about._replace(searches=SEARCHES),
                               most._replace(searches=SEARCHES_MAX))
            dearest = marked_up(cost(dear, price, hour), markup)
            wanted = Demand(
                dearest if usual is dear else marked_up(cost(usual, price, hour), markup), dearest)
            known = found.get(price.currency)
            # one may be the dearest of usual answers, another one of long ones
            found[price.currency] = wanted if known is None else Demand(*map(max, known, wanted))
        return found

    def _quantities(
        self, exchange: Exchange, plan: Plan, raw: bytes | None
    ) -> tuple[Quantity, Quantity]:
        """What the call uses about, and at most."""
        billing = exchange.policy.billing
        endpoint = exchange.target.endpoint
        if endpoint is None or endpoint.body == "none":  # a session
            given = Quantity(SESSION_TOKENS, SESSION_TOKENS)
            return given, given
        if endpoint.operation in UNCOUNTED:
            return Quantity(), Quantity()
        if raw is None:
            return _of_upload(endpoint.operation, *_sizes(exchange))
        assert exchange.ask is not None
        tokens, most = tokens_about_and_at_most(
            endpoint.api, raw, exchange.ask.marks, endpoint.operation not in _MANY_CONTEXTS,
            billing.input_tokens_max)
        if endpoint.operation == "speech":
            seconds = len(raw) // BYTES_PER_SECOND + 1
            return _spoken(tokens, seconds), _spoken(tokens, seconds * SLOWER)
        if endpoint.operation == "rerank":
            return _ranked(tokens, exchange.ask.fields.get("documents"))
        limit = bound(endpoint.operation, exchange.ask.fields)
        made, longest = billing.output_tokens, billing.output_tokens_max
        if limit.tokens is not None:
            made = longest = limit.tokens
            if limit.images:
                made = min(limit.images * IMAGE_TOKENS, longest)
            elif limit.newer and not all(p.provider.knows_completion_bound for p in plan.places):
                longest = max(made, billing.output_tokens_max)
        return Quantity(tokens, made, limit.images), Quantity(most, longest, limit.images)

    def _wallet(self, account: str, currency: str) -> Wallet:
        purse = account, currency
        wallet = self._wallets.get(purse)
        if wallet is None:
            wallet = self._wallets[purse] = Wallet(currency)
            posted = self._posted.get(purse)
            if posted is not None:
                wallet.install(posted.nano, posted.credit, ())
        return wallet

    def spend(self, exchange: Exchange, usage: Usage, responses: int = 0) -> None:
        """A session has used so much by now, and so many of its responses have not ended: others
        see it at once."""
        if exchange.hold is None:
            return
        price = _price(exchange, exchange.provider or "", exchange.provider_model or "")
        if price is not None:
            account = exchange.grant.account if exchange.grant else ""
            markup = self.tariff().markup(account, exchange.model)
            if price.currency != exchange.hold.wallet.currency:  # another deployment's was held
                exchange.hold.void()
                each = marked_up(cost(Quantity(SESSION_TOKENS, SESSION_TOKENS), price), markup)
                exchange.hold = self._wallet(account, price.currency).take(each)
            used = cost(Quantity(usage.input_tokens, usage.output_tokens), price)
            exchange.hold.grow(marked_up(used, markup))
            exchange.hold.expect(responses)

    def go_on(self, exchange: Exchange, responses: int = 1) -> None:
        """Raises balance_short where a session may not ask for more now: for `responses` at once
        that have not ended."""
        hold = exchange.hold
        if hold is None:
            return
        before = hold.responses
        hold.expect(responses)
        if hold.wallet.available < 0:
            hold.expect(before)
            self.refused += 1
            raise RelayError("balance_short")

    def settle(self, exchange: Exchange, record: CallRecord) -> CallRecord:
        """The call's record is known: its amount takes the place of what was set aside.

        Returns it with that amount: what is stored is what was taken, whatever plan comes next.
        """
        hold = exchange.hold
        if hold is None:
            return record
        rated = self.tariff().rated(record)
        if rated.amount_nano and rated.currency != hold.wallet.currency:
            hold.void()
            self._wallet(record.account, rated.currency).settled(
                record.id, record.started_at_ms, rated.amount_nano)
        else:
            hold.settle(record.id, record.started_at_ms, rated.amount_nano)
        return rated

    # -- what the store says --------------------------------------------------------------

    def unposted(self) -> list[tuple[int, str]]:
        """Calls, as (start, id), that the store's sums may not hold yet."""
        return [(started_at_ms, call_id) for wallet in self._wallets.values()
                for call_id, (started_at_ms, _) in wallet.unposted.items()]

    def install(
        self, rows: Iterable[tuple[Account, Currency, int, int]], known: Collection[str],
    ) -> None:
        """Takes (account, currency, nano, credit) of accounts whose money changed in the store.

        `known` are those of the `unposted` calls that its sums hold. An account's row comes with
        its calls: both are of one state of the store.
        """
        for account, currency, nano, credit in rows:
            self._posted[account, currency] = Posted(nano, credit)
            wallet = self._wallets.get((account, currency))
            if wallet is not None:
                wallet.install(nano, credit, known)
        self._wallets = {purse: wallet for purse, wallet in self._wallets.items()
                         if not wallet.idle}


def _sizes(exchange: Exchange) -> tuple[int, int]:
    """How long an upload is, of which there is only the beginning yet: about, and at most."""
    declared = exchange.head.content_length
    if exchange.body_complete or declared is not None:
        size = max(exchange.body_bytes, declared or 0)
        return size, size
    return exchange.body_bytes, exchange.policy.server.max_body_bytes


def _of_upload(operation: str, about: int, most: int) -> tuple[Quantity, Quantity]:
    """What a form of so many bytes uses about, and at most: nothing that is in it is known."""
    if operation == "image_edit":
        return (Quantity(UPLOAD_TOKENS, IMAGE_TOKENS, 1),
                Quantity(UPLOAD_TOKENS, IMAGES_MAX * IMAGE_TOKENS_MAX, IMAGES_MAX))
    return (_of_sound(about, AUDIO_BYTES_PER_SECOND),
            _of_sound(most, AUDIO_BYTES_PER_SECOND_MIN))


def _spoken(tokens: int, seconds: int) -> Quantity:
    """What it takes to say so much for so long, whether seconds or tokens are paid."""
    return Quantity(tokens, seconds * SPEECH_TOKENS, 0, seconds)


def _ranked(tokens: int, documents: object) -> tuple[Quantity, Quantity]:
    """What a ranking uses about, and where all documents are long ones."""
    pieces = len(documents) if isinstance(documents, list) else 1
    longest = pieces + tokens // RANKED_TOKENS
    return (Quantity(tokens, searches=-(-pieces // RANKED_MAX)),
            Quantity(tokens, searches=-(-longest // RANKED_MAX)))


def _of_sound(size: int, bytes_per_second: int) -> Quantity:
    """What so many bytes of sound use."""
    seconds = size // bytes_per_second + 1
    return Quantity(UPLOAD_TOKENS + seconds * HEARD_TOKENS, seconds * SAID_TOKENS, 0, seconds)


def all_priced(exchange: Exchange, plan: Plan, model: str) -> bool:
    """Whether a call of a model costs something known wherever it may go."""
    return all(_price(exchange, place.provider.name, place.sends or model, model) is not None
               for place in plan.places)


def _prices(exchange: Exchange, plan: Plan) -> list[Price]:
    """The prices of the deployments that the call may go to, those that have one."""
    found = []
    for place in plan.places:
        price = _price(exchange, place.provider.name, place.sends or exchange.model or "")
        if price is not None:
            found.append(price)
    return found


def _keeps_an_hour(price: Price, raw: bytes | None) -> bool:
    """Whether the call may pay for an hour in a cache: where that has a price of its own, and the
    body says `1h` anywhere, escaped or not."""
    unit = price.prices
    return (raw is not None and unit.cache_creation_1h > unit.cache_creation
            and any(said in raw for said in _AN_HOUR))


def _searches(price: Price, raw: bytes | None) -> bool:
    """Whether the call may pay for searches: where they have a price, and the body names a tool
    that makes them, anywhere in it."""
    unit = price.prices
    return (raw is not None and (unit.search > 0 or unit.search_call > 0)
            and any(part in raw and any(name in raw for name in names)
                    for part, names in _SEARCH))


def _price(
    exchange: Exchange, provider: str, sent: str, asked: str | None = None
) -> Price | None:
    """The price of the model that is sent, else of the one that was asked for: a deployment's own
    name is in no book."""
    book = exchange.policy.prices
    return (book.find(provider, sent, exchange.started_at_ms)
            or book.find(provider, asked or exchange.model or "", exchange.started_at_ms))
