-- What is personal is sealed (store/seal.py): under a data key of its account, which is in keys.db.
-- seal(owner, table, column, row, text) and blind(kind, text) are functions that the migration has.
-- An account has more states: not yet verified, about to be erased, terminated.

CREATE TABLE accounts_5 (
    id TEXT NOT NULL PRIMARY KEY,
    email BLOB,
    -- keyed hash of the folded address: finds an account, and keeps addresses unique
    email_index BLOB UNIQUE CHECK (length(email_index) = 32),
    name BLOB,
    username BLOB,
    username_index BLOB UNIQUE CHECK (length(username_index) = 32),
    state TEXT NOT NULL CHECK (state IN
        ('unverified', 'active', 'suspended', 'closing', 'terminated', 'erased')),
    state_since_ms INTEGER NOT NULL,
    -- why it is suspended or terminated: a code of core/account.py
    reason TEXT,
    language TEXT NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'zh')),
    -- ISO 3166-1, as its owner says
    country TEXT CHECK (length(country) = 2),
    created_at_ms INTEGER NOT NULL,
    CHECK ((state = 'erased') = (email IS NULL)),
    CHECK ((email IS NULL) = (email_index IS NULL)),
    CHECK ((username IS NULL) = (username_index IS NULL)),
    CHECK (state <> 'erased' OR (name IS NULL AND username IS NULL AND country IS NULL))
) STRICT;

INSERT INTO accounts_5
    (id, email, email_index, name, state, state_since_ms, created_at_ms)
SELECT id, seal(id, 'accounts', 'email', id, email), blind('email', email_folded),
    seal(id, 'accounts', 'name', id, name), state, created_at_ms, created_at_ms
FROM accounts;

CREATE TABLE api_keys_5 (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts_5 (id),
    -- keyed BLAKE2b (32 bytes) of the key's text; the text itself is nowhere
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint TEXT NOT NULL,
    -- NULL once its account is erased
    name BLOB,
    app TEXT,
    -- a JSON list of route names; NULL allows every route
    models TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    replaces TEXT REFERENCES api_keys_5 (id)
) STRICT;

INSERT INTO api_keys_5
SELECT k.id, k.account_id, k.digest, k.hint,
    CASE WHEN a.state = 'erased' THEN NULL
         ELSE seal(k.account_id, 'api_keys', 'name', k.id, k.name) END,
    k.app, k.models, k.state, k.created_at_ms, k.expires_at_ms, k.replaces
FROM api_keys k JOIN accounts a ON a.id = k.account_id ORDER BY k.id;

CREATE TABLE account_limits_5 (
    account_id TEXT NOT NULL REFERENCES accounts_5 (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

INSERT INTO account_limits_5 SELECT account_id, name, value FROM account_limits;

CREATE TABLE key_limits_5 (
    key_id TEXT NOT NULL REFERENCES api_keys_5 (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (key_id, name)
) STRICT, WITHOUT ROWID;

INSERT INTO key_limits_5 SELECT key_id, name, value FROM key_limits;

-- else each row that goes is looked for in the whole table
CREATE INDEX api_keys_by_replaced ON api_keys (replaces);

DROP TABLE key_limits;
DROP TABLE account_limits;
DROP TABLE api_keys;
DROP TABLE accounts;

ALTER TABLE accounts_5 RENAME TO accounts;
ALTER TABLE api_keys_5 RENAME TO api_keys;
ALTER TABLE account_limits_5 RENAME TO account_limits;
ALTER TABLE key_limits_5 RENAME TO key_limits;

CREATE INDEX api_keys_by_account ON api_keys (account_id);
CREATE INDEX accounts_by_state ON accounts (state, state_since_ms);
