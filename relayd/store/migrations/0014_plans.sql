-- Plans, subscriptions, credit that is given, codes to redeem, alerts of balances.

CREATE TABLE plan_versions (
    plan TEXT NOT NULL,
    version TEXT NOT NULL,
    -- the terms as JSON (core/plan.py); never changed
    terms BLOB NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER plan_versions_stay BEFORE UPDATE ON plan_versions BEGIN
    SELECT RAISE(ABORT, 'immutable');
END;

-- which plan's markup an account's calls have; who is not here has the default one
CREATE TABLE account_plans (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    plan TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    plan TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'ending', 'past_due', 'ended')),
    anchor_day INTEGER NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
    due_at_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    reminded INTEGER NOT NULL DEFAULT 0 CHECK (reminded IN (0, 1)),
    next_plan TEXT,
    FOREIGN KEY (plan, version) REFERENCES plan_versions (plan, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX subscriptions_by_due ON subscriptions (due_at_ms) WHERE state <> 'ended';

CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount_nano INTEGER NOT NULL CHECK (amount_nano > 0),
    left_nano INTEGER NOT NULL CHECK (left_nano BETWEEN 0 AND amount_nano),
    source TEXT NOT NULL CHECK (source IN ('operator', 'code', 'subscription')),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER
) STRICT;

CREATE INDEX grants_by_account ON grants (account_id, currency) WHERE left_nano > 0;
CREATE INDEX grants_by_expiry ON grants (expires_at_ms) WHERE left_nano > 0;

CREATE TABLE codes (
    id TEXT NOT NULL PRIMARY KEY,
    -- keyed hash of the code; the code itself is nowhere
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount_nano INTEGER NOT NULL CHECK (amount_nano > 0),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created_at_ms INTEGER NOT NULL,
    -- until when it can be redeemed, and how long the credit then lasts
    expires_at_ms INTEGER,
    grant_days INTEGER CHECK (grant_days > 0)
) STRICT;

CREATE TABLE code_uses (
    code_id TEXT NOT NULL REFERENCES codes (id),
    account_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (code_id, account_id)
) STRICT, WITHOUT ROWID;

-- tell the holder when less than this is left; `told` until it is more again
CREATE TABLE balance_alerts (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    below_nano INTEGER NOT NULL CHECK (below_nano > 0),
    told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    PRIMARY KEY (account_id, currency)
) STRICT, WITHOUT ROWID;
