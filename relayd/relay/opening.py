"""What an exchange tells the journal while it is open."""

from __future__ import annotations

from relayd.core.journal import Mark, Opening
from relayd.core.usage import Beside
from relayd.relay.exchange import Exchange
from relayd.relay.settle import endpoint_name, is_exact


def opening(exchange: Exchange) -> Opening:
    """The line that is in the journal before the first byte goes upstream."""
    grant, target = exchange.grant, exchange.target
    assert grant is not None
    endpoint = target.endpoint
    return Opening(
        exchange.id, exchange.started_at_ms, grant.account, grant.key, grant.app, target.api,
        endpoint_name(exchange) if endpoint is None else endpoint.path, exchange.model,
        exchange.provider, exchange.provider_model, exchange.stream,
    )


def mark(exchange: Exchange, begins: int = 0) -> Mark:
    """How far the exchange has come: what its record would say if the process died now.

    `begins` are attempts that are made at once, behind this.
    """
    usage = exchange.usage
    if usage is None and exchange.copying is not None:
        usage = exchange.copying.usage_so_far()
    counter = exchange.counter
    first = exchange.first_byte
    return Mark(
        exchange.id, exchange.provider, exchange.provider_model,
        exchange.attempts + begins, exchange.status,
        None if exchange.prompt is None else exchange.prompt.tokens,
        None if counter is None else counter.total(), is_exact(exchange), usage,
        None if first is None else round((first - exchange.started) * 1e6) / 1000,
        not isinstance(usage, Beside),
    )
