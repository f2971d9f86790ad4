-- The first schema. Times are Unix milliseconds; amounts are 10^-9 of their currency.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Counters that a transaction bumps with the change they count.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL CHECK (value >= 0)
) STRICT;

INSERT INTO counters (name, value) VALUES ('policy_version', 1);

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT,
    -- case and composition folded away: what must be unique
    email_folded TEXT UNIQUE,
    name TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'erased')),
    created_at_ms INTEGER NOT NULL,
    CHECK ((state = 'erased') = (email IS NULL)),
    CHECK ((email IS NULL) = (email_folded IS NULL)),
    CHECK (state <> 'erased' OR name IS NULL)
) STRICT;

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    -- keyed BLAKE2b (32 bytes) of the key's text; the text itself is nowhere
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    app TEXT,
    -- a JSON list of route names; NULL allows every route
    models TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    replaces TEXT REFERENCES api_keys (id)
) STRICT;

CREATE INDEX api_keys_by_account ON api_keys (account_id);

-- No foreign key to accounts or keys: a record outlives both. No index besides the primary key: rows
-- arrive in the order of their start, so inserting appends to a few pages, whereas one index by
-- account dirties as many pages as there are accounts in a batch. An account's calls are found by
-- the hours of its rollups.
CREATE TABLE call_records (
    id TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL CHECK (started_at_ms >= 0),
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    app TEXT,
    api TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    provider_model TEXT,
    stream INTEGER NOT NULL CHECK (stream IN (0, 1)),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 999),
    outcome TEXT NOT NULL,
    error TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
    output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
    cache_read_input_tokens INTEGER NOT NULL CHECK (cache_read_input_tokens >= 0),
    cache_creation_input_tokens INTEGER NOT NULL CHECK (cache_creation_input_tokens >= 0),
    reasoning_output_tokens INTEGER NOT NULL CHECK (reasoning_output_tokens >= 0),
    audio_input_tokens INTEGER NOT NULL CHECK (audio_input_tokens >= 0),
    audio_output_tokens INTEGER NOT NULL CHECK (audio_output_tokens >= 0),
    counted_input_tokens INTEGER CHECK (counted_input_tokens >= 0),
    counted_output_tokens INTEGER CHECK (counted_output_tokens >= 0),
    usage_source TEXT NOT NULL,
    amount_nano INTEGER NOT NULL CHECK (amount_nano BETWEEN 0 AND 9007199254740992),
    currency TEXT NOT NULL,
    first_byte_ms REAL CHECK (first_byte_ms >= 0),
    duration_ms REAL CHECK (duration_ms >= 0),
    PRIMARY KEY (started_at_ms, id)
) STRICT, WITHOUT ROWID;

-- Sums of call_records per hour. '' stands for no model, no provider.
CREATE TABLE rollups (
    hour_ms INTEGER NOT NULL CHECK (hour_ms % 3600000 = 0),
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    currency TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    cache_creation_input_tokens INTEGER NOT NULL,
    reasoning_output_tokens INTEGER NOT NULL,
    audio_input_tokens INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    amount_nano INTEGER NOT NULL,
    PRIMARY KEY (hour_ms, account_id, key_id, model, provider, currency)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollups_by_account ON rollups (account_id, hour_ms);
