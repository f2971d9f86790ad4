"""What a store knew of rights that ended, and the documents that it issued, taken over into the
backup that comes in its place.

Law: a restore brings no right back that was taken since: a consent, a key, a role, a password, a
session, an account in good standing. No number of an invoice is given twice, and no order has two
fapiao: what was issued stays issued. It is done in the backup's own copy before that is in place,
so that nobody ever starts with less. What was there before is only read.

Most of it holds only where the store before goes on from the backup: then what is not there any
more was taken away. Where it does not, as after another restore between, what tells its own time
is taken over, and the rest is left and said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import orjson

from relayd.store.meta import Word
from relayd.store.transaction import mapped

SINCE: Final = 18
"""The migration from which on every table is there that is looked at."""
BUSY_SECONDS: Final = 5.0
RESTORED: Final[Word] = "restored"

# accounts that both know and neither has erased: what is below is theirs alone
_BOTH: Final = ("(SELECT a.id FROM main.accounts a JOIN was.accounts b ON a.id = b.id"
                " WHERE a.state <> 'erased' AND b.state <> 'erased')")
_ENDED: Final = ("sessions", "DELETE FROM main.sessions")
_FORGOTTEN: Final = (
    # a mailed link is good once, and nobody knows any more which ones were used
    "DELETE FROM main.mail_tokens WHERE purpose IN ('reset', 'sign_in', 'email_old', 'email_new')",
    "DELETE FROM main.reveals",
)

Step = tuple[str, str]
"""What it is counted as ('' for what is not), and the statement."""

_TIMED: Final[tuple[Step, ...]] = (
    ("consents", f"""
INSERT INTO main.consents
    (account_id, item, act, document, version, digest, language, channel, at_ms)
SELECT account_id, item, act, document, version, digest, language, channel, at_ms
FROM was.consents w WHERE act = 'withdrawn' AND account_id IN {_BOTH}
    AND number = (SELECT max(number) FROM was.consents x
                  WHERE x.account_id = w.account_id AND x.item = w.item)
    AND NOT EXISTS (SELECT 1 FROM main.consents c
                    WHERE c.account_id = w.account_id AND c.item = w.item
                        AND (c.at_ms > w.at_ms OR (c.act = 'withdrawn' AND c.at_ms = w.at_ms)))
ORDER BY number"""),
    ("objections", f"""
INSERT INTO main.notice_answers (notice_id, account_id, answer, at_ms)
SELECT notice_id, account_id, answer, at_ms FROM was.notice_answers w
WHERE answer = 'objected' AND account_id IN {_BOTH}
    AND notice_id IN (SELECT id FROM main.notices)
    AND NOT EXISTS (SELECT 1 FROM main.notice_answers n WHERE n.notice_id = w.notice_id
                    AND n.account_id = w.account_id
                    AND (n.at_ms > w.at_ms OR n.answer = 'objected'))
ON CONFLICT DO UPDATE SET answer = excluded.answer, at_ms = excluded.at_ms"""),
    ("keys", """
UPDATE main.api_keys SET state = 'revoked' WHERE state = 'active'
    AND id IN (SELECT id FROM was.api_keys WHERE state = 'revoked')"""),
)
"""What holds whichever of the two is the later one."""

_LIMITS: Final = """
INSERT INTO main.{0}_limits ({0}_id, name, value)
SELECT {0}_id, name, value FROM was.{0}_limits w WHERE value > 0
    AND {0}_id IN (SELECT id FROM main.{1} WHERE state <> 'erased')
    AND NOT EXISTS (SELECT 1 FROM main.{0}_limits l WHERE l.{0}_id = w.{0}_id
                    AND l.name = w.name AND l.value BETWEEN 1 AND w.value)
ON CONFLICT DO UPDATE SET value = excluded.value"""

_PASSKEYS: Final = ("id, account_id, credential_index, credential, public_key, name, sign_count,"
                    " created_at_ms, used_at_ms")
_ERASURES: Final = ("id, account_id, cause, state, asked_at_ms, due_at_ms, ended_at_ms, was,"
                    " cancel_digest, fetch_digest, certificate")

_ERASED: Final = (
    f"INSERT OR REPLACE INTO main.erasures ({_ERASURES}) SELECT {_ERASURES} FROM was.erasures"
    " WHERE account_id IN (SELECT id FROM main.accounts)")

_LATER: Final[tuple[Step, ...]] = (
    ("keys_narrowed", """
UPDATE main.api_keys SET expires_at_ms = w.expires_at_ms FROM was.api_keys w
WHERE w.id = api_keys.id AND w.expires_at_ms < coalesce(api_keys.expires_at_ms, 1 << 62)"""),
    ("keys_narrowed", """
UPDATE main.api_keys SET models = w.models FROM was.api_keys w
WHERE w.id = api_keys.id AND w.models IS NOT api_keys.models AND w.models IS NOT NULL
    AND (api_keys.models IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(w.models) j
        WHERE j.value NOT IN (SELECT value FROM json_each(api_keys.models))))"""),
    ("limits", _LIMITS.format("account", "accounts")),
    ("limits", _LIMITS.format("key", "api_keys")),
    ("limits", """
UPDATE main.credit_lines SET credit_nano = coalesce((
    SELECT credit_nano FROM was.credit_lines w
    WHERE w.account_id = credit_lines.account_id AND w.currency = credit_lines.currency), 0)
WHERE credit_nano > coalesce((
    SELECT credit_nano FROM was.credit_lines w
    WHERE w.account_id = credit_lines.account_id AND w.currency = credit_lines.currency), 0)"""),
    ("roles", """
DELETE FROM main.account_roles WHERE NOT EXISTS (
    SELECT 1 FROM was.account_roles w
    WHERE w.account_id = account_roles.account_id AND w.role = account_roles.role)"""),
    ("subscriptions", f"""
UPDATE main.subscriptions SET state = w.state, next_plan = NULL FROM was.subscriptions w
WHERE w.account_id = subscriptions.account_id AND w.account_id IN {_BOTH}
    AND w.state IN ('ending', 'ended') AND subscriptions.state NOT IN ('ended', w.state)"""),
    # the ways in, as they were last
    ("passwords", f"""
UPDATE main.holders SET password = w.password, password_at_ms = w.password_at_ms
FROM was.holders w WHERE w.account_id = holders.account_id AND w.account_id IN {_BOTH}
    AND w.password IS NOT holders.password"""),
    ("", f"DELETE FROM main.totp WHERE account_id IN {_BOTH}"),
    ("", f"INSERT INTO main.totp (account_id, secret, confirmed, last_step, created_at_ms)"
         f" SELECT account_id, secret, confirmed, last_step, created_at_ms FROM was.totp"
         f" WHERE account_id IN {_BOTH}"),
    ("", f"DELETE FROM main.recovery_codes WHERE account_id IN {_BOTH}"),
    ("", f"INSERT INTO main.recovery_codes (digest, account_id)"
         f" SELECT digest, account_id FROM was.recovery_codes WHERE account_id IN {_BOTH}"),
    ("", f"DELETE FROM main.passkeys WHERE account_id IN {_BOTH}"),
    ("", f"INSERT INTO main.passkeys ({_PASSKEYS}) SELECT {_PASSKEYS} FROM was.passkeys"
         f" WHERE account_id IN {_BOTH}"),
    # two that have changed places stay as they were: an address is of one account
    ("addresses", f"""
UPDATE OR IGNORE main.accounts SET email = w.email, email_index = w.email_index
FROM was.accounts w WHERE w.id = accounts.id AND w.id IN {_BOTH}
    AND w.email_index <> accounts.email_index"""),
    ("standings", f"""
UPDATE main.accounts SET state = w.state, state_since_ms = w.state_since_ms, reason = w.reason
FROM was.accounts w WHERE w.id = accounts.id AND w.id IN {_BOTH}
    AND w.state <> accounts.state"""),
    # with the certificates of those that are carried out again
    ("", _ERASED),
    # what was sent is not sent again
    ("mails", """
DELETE FROM main.outbox WHERE state = 'queued'
    AND id IN (SELECT id FROM was.outbox WHERE state <> 'queued')"""),
    ("", "UPDATE main.notices SET mailed_to = w.mailed_to, mailed_at_ms = w.mailed_at_ms"
         " FROM was.notices w WHERE w.id = notices.id"),
)
"""What is so where the store before goes on from the backup."""

_INVOICES: Final = (
    "id, series, year, sequence, account_id, kind, state, currency, period_start_ms,"
    " period_end_ms, issued_at_ms, until_ms, vault_year, amount_nano, net_minor, tax_minor,"
    " total_minor, vat_rate, vat_inclusive, lines, reverses, cause, seller, buyer")
_FAPIAO: Final = (
    "id, account_id, kind, state, amount_minor, tax_minor, vat_rate, created_at_ms, until_ms,"
    " vault_year, reason, reverses, confirmation, number, issued_on, buyer")
_DOCUMENTS: Final[tuple[Step, ...]] = (
    # an account that the backup has not comes with them and has no right: it is suspended, and
    # stays erased, or on its way there, where it was
    ("", """
INSERT INTO main.accounts
    (id, email, email_index, name, state, state_since_ms, reason, language, country, created_at_ms)
SELECT id, email, email_index, name, iif(state = 'active', 'suspended', state), state_since_ms,
    iif(state = 'active', 'other', reason), language, country, created_at_ms
FROM was.accounts WHERE id IN (SELECT account_id FROM was.invoices)
    AND id NOT IN (SELECT id FROM main.accounts)"""),
    ("", _ERASED),
    # in the order of their numbers, of which none may be left out
    ("invoices", f"""
INSERT INTO main.invoices ({_INVOICES}) SELECT {_INVOICES} FROM was.invoices
WHERE id NOT IN (SELECT id FROM main.invoices) ORDER BY series, year, sequence"""),
    ("", """
INSERT OR IGNORE INTO main.invoice_lines SELECT * FROM was.invoice_lines
WHERE invoice_id IN (SELECT id FROM main.invoices)
    AND invoice_id NOT IN (SELECT invoice_id FROM main.invoice_lines)"""),
    ("", """
UPDATE main.invoices SET state = w.state FROM was.invoices w
WHERE w.id = invoices.id AND w.state <> invoices.state"""),
    ("", "INSERT OR REPLACE INTO main.closed_months SELECT * FROM was.closed_months"),
    ("fapiao", f"""
INSERT INTO main.fapiao ({_FAPIAO}) SELECT {_FAPIAO} FROM was.fapiao w
WHERE NOT EXISTS (SELECT 1 FROM main.fapiao m WHERE m.id = w.id AND m.state = w.state)
    AND NOT EXISTS (SELECT 1 FROM was.fapiao_orders o
                    WHERE o.fapiao_id = coalesce(w.reverses, w.id)
                    AND o.order_id NOT IN (SELECT id FROM main.orders))
ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason,
    confirmation = excluded.confirmation, number = excluded.number,
    issued_on = excluded.issued_on"""),
    ("", "INSERT OR IGNORE INTO main.fapiao_orders SELECT * FROM was.fapiao_orders"
         " WHERE fapiao_id IN (SELECT id FROM main.fapiao)"),
    ("", "INSERT OR IGNORE INTO main.fapiao_files SELECT * FROM was.fapiao_files"
         " WHERE fapiao_id IN (SELECT id FROM main.fapiao)"),
)
"""Documents, where the store before goes on from the backup."""

_LOST: Final[tuple[Step, ...]] = tuple(
    (name, f"SELECT count(*) FROM was.{name} w WHERE NOT EXISTS"
           f" (SELECT 1 FROM main.{name} m WHERE m.id = w.id)")
    for name in ("accounts", "api_keys", "orders", "invoices", "fapiao", "tickets"))


class Carried(NamedTuple):
    """What came of it. `known`: the store before could be read; `later`: it goes on from the
    backup. `done` counts what was taken over, `lost` what it has and the backup has not."""

    known: bool
    later: bool
    done: dict[str, int]
    lost: dict[str, int]


def carry(draft: Path, before: Path | None, older: Sequence[Path] = ()) -> Carried:
    """Takes over into the database file `draft` what that of the store `before` knows.

    `older`, oldest first, are those that restores replaced before it. What tells its own time is
    taken from them as well; and the rest where one of them goes on from the backup and `before`
    does not, as where somebody restores too old a backup first.
    """
    with mapped(), closing(sqlite3.connect(
            _address(draft), uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete=ON")
        found = _taken(db, before)
        for path in older:
            _take_older(db, path, found)
        # for the audit log, which goes on when the store is opened
        db.execute("INSERT OR REPLACE INTO main.meta (name, value) VALUES (?, ?)",
                   (RESTORED, orjson.dumps(found._asdict()).decode()))
    return found


def _taken(db: sqlite3.Connection, before: Path | None) -> Carried:
    done: dict[str, int] = {}
    if db.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'sessions'").fetchone():
        _run(db, (_ENDED, *(("", each) for each in _FORGOTTEN)), done)
    if _schema(db, "main") >= SINCE:
        with suppress(sqlite3.Error):  # a damaged one may be why there is a restore
            if before is not None:
                db.execute("ATTACH ? AS was", (_address(before),))
                return _carried(db, done)
    return Carried(False, False, done, {})


def _take_older(db: sqlite3.Connection, older: Path, found: Carried) -> None:
    with suppress(sqlite3.Error):
        if "was" in {row[1] for row in db.execute("PRAGMA database_list")}:
            db.execute("DETACH was")
        db.execute("ATTACH ? AS was", (_address(older),))
        if min(_schema(db, "main"), _schema(db, "was")) >= SINCE:
            more = () if found.later or not _goes_on(db) else (*_LATER, *_DOCUMENTS)
            _run(db, (*_TIMED, *more), found.done)


def _carried(db: sqlite3.Connection, done: dict[str, int]) -> Carried:
    if _schema(db, "was") < SINCE:
        return Carried(False, False, done, {})
    later = _goes_on(db)
    found = dict(done)
    _run(db, (*_TIMED, *(_LATER if later else ())), found)
    lost = _lost(db)
    if later:
        with suppress(sqlite3.Error):  # then they are lost, and told
            _run(db, _DOCUMENTS, found)
        lost |= {name: count for name, count in _lost(db).items()
                 if name in ("invoices", "fapiao")}
    return Carried(True, later, found, lost)


def _lost(db: sqlite3.Connection) -> dict[str, int]:
    return {name: int(db.execute(statement).fetchone()[0]) for name, statement in _LOST}


def _goes_on(db: sqlite3.Connection) -> bool:
    """Whether the store before has the last audit event that the backup has: their chains are the
    same as long as nobody has put another backup in place between."""
    head = db.execute("SELECT seq, hash FROM main.audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    return head is None or db.execute(
        "SELECT 1 FROM was.audit_log WHERE seq = ? AND hash = ?", head).fetchone() is not None


def _run(db: sqlite3.Connection, steps: tuple[Step, ...], done: dict[str, int]) -> None:
    """All of them, or none; adds up what they changed."""
    db.execute("BEGIN IMMEDIATE")
    try:
        counts = [(name, db.execute(statement).rowcount) for name, statement in steps]
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    for name, count in counts:
        if name:
            done[name] = done.get(name, 0) + count


def _schema(db: sqlite3.Connection, which: str) -> int:
    return int(db.execute(f"SELECT max(version) FROM {which}.schema_migrations").fetchone()[0])


def _address(path: Path) -> str:
    # not made where it is not there
    return f"file:{quote(str(path.absolute()))}?mode=rw"
