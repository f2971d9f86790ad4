-- Money: the double-entry ledger, orders, and what payment partners say. Amounts of the ledger are
-- 10^-9 of their currency; `_minor` ones are a partner's own units (fen, cents). No card data, no
-- name and no address of a payer is kept anywhere.

CREATE TABLE ledger_accounts (
    number INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    -- an account's id, a partner's name, or '' for the operator
    owner TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    -- what the entries sum to: changed with them, and checked against them
    balance_nano INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, owner, currency),
    CHECK (kind NOT IN ('promo', 'refunds', 'disputes') OR balance_nano >= 0)
) STRICT;

CREATE INDEX ledger_accounts_by_owner ON ledger_accounts (owner);

CREATE TABLE transfers (
    number INTEGER NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    kind TEXT NOT NULL,
    -- why there is one: no two transfers have the same
    cause TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE entries (
    transfer INTEGER NOT NULL REFERENCES transfers (number),
    ledger_account INTEGER NOT NULL REFERENCES ledger_accounts (number),
    amount_nano INTEGER NOT NULL
        CHECK (amount_nano <> 0 AND amount_nano BETWEEN -9007199254740992 AND 9007199254740992),
    PRIMARY KEY (transfer, ledger_account)
) STRICT, WITHOUT ROWID;

CREATE INDEX entries_by_ledger_account ON entries (ledger_account, transfer);

-- The book is only ever written on.
CREATE TRIGGER transfers_stay BEFORE UPDATE ON transfers BEGIN
    SELECT RAISE(ABORT, 'append-only');
END;
CREATE TRIGGER transfers_remain BEFORE DELETE ON transfers BEGIN
    SELECT RAISE(ABORT, 'append-only');
END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'append-only');
END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'append-only');
END;

CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    partner TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN (
        'created', 'pending', 'paid', 'credited', 'expired', 'refunding', 'refunded',
        'part_refunded', 'disputed', 'dispute_won', 'dispute_lost', 'failed')),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    -- the partner's name for the attempt to pay, and its page while it is of use
    session TEXT,
    page TEXT,
    -- the partner's number of the payment: it pays one order
    trade TEXT,
    paid_at_ms INTEGER,
    refunded_minor INTEGER NOT NULL DEFAULT 0
        CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    -- keyed hashes of the client's idempotency key, and of what was asked with it
    client_key BLOB CHECK (length(client_key) = 32),
    asked BLOB CHECK (length(asked) = 32),
    CHECK ((client_key IS NULL) = (asked IS NULL)),
    UNIQUE (account_id, client_key),
    UNIQUE (partner, trade)
) STRICT;

CREATE INDEX orders_by_account ON orders (account_id, created_at_ms);
CREATE INDEX orders_by_state ON orders (state, created_at_ms);

CREATE TABLE refunds (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    asked_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER
) STRICT;

CREATE INDEX refunds_by_order ON refunds (order_id);

CREATE TABLE disputes (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN ('open', 'won', 'lost')),
    opened_at_ms INTEGER NOT NULL,
    closed_at_ms INTEGER
) STRICT;

CREATE INDEX disputes_by_order ON disputes (order_id);

-- Every message of a partner once, and what came of it. No foreign key: an order may be unknown.
CREATE TABLE partner_events (
    partner TEXT NOT NULL,
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    order_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- a person has looked at what did not fit
    seen_at_ms INTEGER,
    PRIMARY KEY (partner, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX partner_events_by_time ON partner_events (at_ms);

-- Partners' daily statements, held against the ledger.
CREATE TABLE statements (
    partner TEXT NOT NULL,
    day TEXT NOT NULL CHECK (length(day) = 10),
    checked_at_ms INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    PRIMARY KEY (partner, day)
) STRICT, WITHOUT ROWID;

-- Each line of a statement once, by what it is about: a payment by its order, a refund and a
-- dispute by their ids.
CREATE TABLE statement_lines (
    partner TEXT NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    day TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    fee_minor INTEGER NOT NULL,
    PRIMARY KEY (partner, kind, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE statement_differences (
    partner TEXT NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    day TEXT NOT NULL,
    what TEXT NOT NULL,
    statement_minor INTEGER,
    ledger_minor INTEGER,
    PRIMARY KEY (partner, kind, reference)
) STRICT, WITHOUT ROWID;
