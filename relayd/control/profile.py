"""The profile: what a holder changes about themselves without further ado.

Law: the e-mail address and the password have ways of their own, which ask for more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import audit
from relayd.control.registration import check_username, claim_username
from relayd.core.account import LANGUAGES, NAME_CHARS_MAX, Account, Language, check_label
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.store import account as store_account
from relayd.store.db import Database

_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Profile:
    """All of it, as it shall be. `country`: two letters (ISO 3166-1)."""

    username: str | None = field(repr=False)
    name: str | None = field(repr=False)
    language: Language
    country: str | None = field(repr=False)

    def checked(self) -> Profile:
        """The same with clean texts. Raises `invalid_value`."""
        if self.language not in LANGUAGES:
            raise RelayError("invalid_value", param="language")
        country = None if self.country is None else self.country.strip().upper()
        if country is not None and _COUNTRY.fullmatch(country) is None:
            raise RelayError("invalid_value", param="country")
        return Profile(
            None if self.username is None else check_username(self.username),
            None if self.name is None else check_label(self.name, "name", NAME_CHARS_MAX),
            self.language, country)


async def change(
    db: Database, actor: Actor, account_id: str, profile: Profile, now_ms: int
) -> Account:
    """The account with another profile. Raises `invalid_value` or `username_taken`."""
    profile = profile.checked()
    async with db.writing() as transaction:
        account = await store_account.get(transaction, account_id)
        if profile.username is not None:
            await claim_username(transaction, profile.username, account.id)
        changed = replace(
            account, username=profile.username, name=profile.name, language=profile.language,
            country=profile.country)
        if changed != account:
            await store_account.update(transaction, changed)
            fields = [each for each in ("username", "name", "language", "country")
                      if getattr(changed, each) != getattr(account, each)]
            await audit.append(transaction, actor, "account.change", account.id, now_ms,
                               details={"field": "+".join(fields)})
    return changed
