-- The holder at the door: password, sessions, second factors, roles. Sealed columns: store/seal.py.

CREATE TABLE holders (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    -- Argon2id's own text, sealed; NULL: nobody can sign in with a password
    password BLOB,
    password_at_ms INTEGER,
    -- when it was said that the holder is old enough; no date of birth is asked for
    age_stated_at_ms INTEGER,
    -- the last day with a sign-in, and what dormancy has done since
    seen_at_ms INTEGER NOT NULL,
    dormant_steps INTEGER NOT NULL DEFAULT 0 CHECK (dormant_steps BETWEEN 0 AND 3),
    dormant_at_ms INTEGER NOT NULL DEFAULT 0,
    CHECK ((password IS NULL) = (password_at_ms IS NULL))
) STRICT;

CREATE INDEX holders_by_seen ON holders (seen_at_ms);

CREATE TABLE account_roles (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'support', 'finance', 'security', 'legal')),
    given_at_ms INTEGER NOT NULL,
    -- NULL: by the shell
    given_by TEXT,
    PRIMARY KEY (account_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the token; the token itself is nowhere
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    stage TEXT NOT NULL CHECK (stage IN ('factor', 'open')),
    method TEXT NOT NULL CHECK (method IN ('password', 'totp', 'recovery', 'passkey', 'link')),
    two_factors INTEGER NOT NULL CHECK (two_factors IN (0, 1)),
    -- two words of a closed vocabulary
    device TEXT NOT NULL,
    address BLOB,
    created_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER NOT NULL,
    proved_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_use ON sessions (used_at_ms);

-- The address is sealed under the key of its month, which is destroyed when its time is over.
CREATE TABLE sign_ins (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN
        ('signed_in', 'wrong_password', 'wrong_code', 'locked_out')),
    method TEXT NOT NULL,
    device TEXT NOT NULL,
    address BLOB
) STRICT;

CREATE INDEX sign_ins_by_account ON sign_ins (account_id, at_ms);
CREATE INDEX sign_ins_by_time ON sign_ins (at_ms);

CREATE TABLE mail_tokens (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    purpose TEXT NOT NULL CHECK (purpose IN
        ('verify', 'reset', 'email_old', 'email_new', 'sign_in', 'appeal')),
    -- what it will change, such as a new address
    value BLOB,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX mail_tokens_by_account ON mail_tokens (account_id, purpose);
CREATE INDEX mail_tokens_by_end ON mail_tokens (expires_at_ms);

CREATE TABLE totp (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    secret BLOB NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    -- the last step whose code was used: none is used twice
    last_step INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    account_id TEXT NOT NULL REFERENCES accounts (id)
) STRICT, WITHOUT ROWID;

CREATE INDEX recovery_codes_by_account ON recovery_codes (account_id);

CREATE TABLE passkeys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    -- keyed hash of the credential id that the authenticator chose
    credential_index BLOB NOT NULL UNIQUE CHECK (length(credential_index) = 32),
    credential BLOB NOT NULL,
    public_key BLOB NOT NULL,
    name BLOB NOT NULL,
    sign_count INTEGER NOT NULL CHECK (sign_count >= 0),
    created_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER
) STRICT;

CREATE INDEX passkeys_by_account ON passkeys (account_id);

-- Challenges that a passkey has answered: none is answered twice.
CREATE TABLE passkey_answers (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who of the operators may see whose personal data, until when.
CREATE TABLE reveals (
    operator_id TEXT NOT NULL REFERENCES accounts (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (operator_id, account_id)
) STRICT, WITHOUT ROWID;
