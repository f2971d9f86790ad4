"""The snapshot: all policy the relay needs, frozen. `publish` builds it; `view` swaps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relayd.core.limit import OwnLimits


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """What an API key may do. `models` None allows every route; times are Unix milliseconds.

    `limits` None: neither the key nor its account has any of its own. `overseas`: the account
    agreed to providers outside China; `training`: to such that may train models on content;
    `attribution`: to keep what application its requests say they are of.
    """

    key: str
    account: str
    app: str | None
    models: frozenset[str] | None
    expires_at_ms: int | None
    suspended: bool
    limits: OwnLimits | None = None
    overseas: bool = False
    training: bool = False
    attribution: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys by their keyed hash (`core.key.digest`). Revoked keys are not in it.

    `budgeted` are those of the grants that come with a budget of their own; `plans` are accounts'
    plans by name, of those that have another than the default one. `edition` is the number of the
    privacy policy in force, 0 before the first.
    """

    version: int
    keys: Mapping[bytes, KeyGrant]
    budgeted: Sequence[KeyGrant] = ()
    plans: Mapping[str, str] = field(default_factory=dict)
    edition: int = 0
