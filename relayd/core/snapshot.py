"""The snapshot: all policy the relay needs. `publish` builds it; `view` swaps it.

Law: nothing changes in the snapshot that holds. The one after it takes its keys and plans over,
and changes what is new in them, in the step of the loop that puts it in its place: of hundreds of
thousands of keys those that changed cost something, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from relayd.core.limit import OwnLimits


class KeyGrant(msgspec.Struct, frozen=True, gc=False):
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

    `budgeted` are those of the grants that are new with it and come with a budget of their own;
    `plans` are accounts' plans by name, of those that have another than the default one. `edition`
    is the number of the privacy policy in force, 0 before the first; `asked` are the versions that
    last asked for each consent that grants have.
    """

    version: int
    keys: dict[bytes, KeyGrant]
    budgeted: Sequence[KeyGrant] = ()
    plans: dict[str, str] = field(default_factory=dict)
    edition: int = 0
    asked: tuple[int, ...] = ()

    def after(
        self, version: int, grants: Mapping[bytes, KeyGrant | None],
        plans: Mapping[str, str | None],
    ) -> Snapshot:
        """The snapshot that comes after this one, which holds no more; None: no longer there."""
        for digest, grant in grants.items():
            if grant is None:
                self.keys.pop(digest, None)
            else:
                self.keys[digest] = grant
        for account, plan in plans.items():
            if plan is None:
                self.plans.pop(account, None)
            else:
                self.plans[account] = plan
        return replace(self, version=version, budgeted=budgeted(filter(None, grants.values())))


def budgeted(grants: Iterable[KeyGrant]) -> tuple[KeyGrant, ...]:
    """Those that come with a budget of their own."""
    return tuple(grant for grant in grants if grant.limits and grant.limits.has_budgets)
