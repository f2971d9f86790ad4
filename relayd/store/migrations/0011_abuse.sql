-- What rules against abuse found: figures of metadata, by account. `suspended`: the account was
-- suspended because of it, until a person decides.

CREATE TABLE abuse_findings (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    rule TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    figure INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('open', 'lifted', 'confirmed')),
    decided_at_ms INTEGER,
    -- NULL: by the shell
    decided_by TEXT,
    CHECK ((state = 'open') = (decided_at_ms IS NULL))
) STRICT;

CREATE INDEX abuse_findings_by_account ON abuse_findings (account_id, at_ms);
CREATE UNIQUE INDEX abuse_findings_open ON abuse_findings (account_id, rule)
WHERE state = 'open';
