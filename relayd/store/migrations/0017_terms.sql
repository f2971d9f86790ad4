-- Who agreed to providers that may train models on content: what the relay asks of all accounts.
CREATE INDEX consents_training ON consents (account_id, number) WHERE item = 'training_routes';

-- API keys that came over the network in clear, so that anybody on the way could read them.
CREATE TABLE key_exposures (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
    account_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX key_exposures_by_account ON key_exposures (account_id);

-- What each self-assessment found of each of its subjects.
CREATE TABLE assessments (
    at_ms INTEGER NOT NULL,
    subject TEXT NOT NULL CHECK (
        subject IN ('audit', 'certificate', 'master_key', 'retention', 'canary')),
    level TEXT NOT NULL CHECK (level IN ('ok', 'warn', 'fail')),
    -- days, or the number of a broken event; NULL where there is none
    figure INTEGER,
    PRIMARY KEY (at_ms, subject)
) STRICT, WITHOUT ROWID;

-- What a third party said of an account's identity: never what it was shown.
CREATE TABLE identity_checks (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    provider TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('verified', 'refused')),
    level TEXT NOT NULL CHECK (level IN ('name', 'document', 'face')),
    reference BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_checks_by_account ON identity_checks (account_id, at_ms);
