-- What owners of accounts may ask for, what the law may ask for, and how long things stay.
-- Texts that may name somebody are sealed: a ticket's under its account's key, or where nobody is
-- signed in under its own (`ticket:ID`); what must be kept for years under the key of the year in
-- which it ends (`vault:YEAR`).

CREATE TABLE erasures (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    cause TEXT NOT NULL CHECK (cause IN ('holder', 'operator', 'minor', 'dormant')),
    state TEXT NOT NULL CHECK (state IN ('cooling', 'cancelled', 'erased')),
    asked_at_ms INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL CHECK (due_at_ms >= asked_at_ms),
    ended_at_ms INTEGER,
    -- the state to which the account returns where the erasure is called off
    was TEXT NOT NULL,
    -- SHA-256 of the mailed link's secret that calls it off
    cancel_digest BLOB UNIQUE CHECK (length(cancel_digest) = 32),
    -- SHA-256 of the secret that fetches the certificate
    fetch_digest BLOB UNIQUE CHECK (length(fetch_digest) = 32),
    -- signed JSON; nothing in it names a person
    certificate TEXT,
    CHECK ((state = 'cooling') = (ended_at_ms IS NULL)),
    CHECK (state = 'erased' OR certificate IS NULL)
) STRICT;

CREATE UNIQUE INDEX erasures_cooling ON erasures (account_id) WHERE state = 'cooling';
CREATE INDEX erasures_by_account ON erasures (account_id);

-- What must outlive its account: copies of rows, each with the columns that core/vault.py lists.
CREATE TABLE legal_vault (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('order', 'invoice', 'consent', 'dispute')),
    -- the year of `until_ms`, whose key seals `content`
    year INTEGER NOT NULL CHECK (year BETWEEN 2000 AND 9999),
    until_ms INTEGER NOT NULL,
    stored_at_ms INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;

CREATE INDEX legal_vault_by_account ON legal_vault (account_id);
CREATE INDEX legal_vault_by_end ON legal_vault (until_ms);

CREATE TABLE legal_requests (
    id TEXT NOT NULL PRIMARY KEY,
    -- no foreign key: a request may be about somebody who has no account
    account_id TEXT NOT NULL,
    basis TEXT NOT NULL CHECK (basis IN
        ('court_order', 'investigation', 'regulator', 'rights_protection')),
    state TEXT NOT NULL CHECK (state IN
        ('open', 'approved', 'refused', 'produced', 'not_held', 'expired')),
    -- sealed under vault:YEAR
    year INTEGER NOT NULL,
    authority BLOB NOT NULL,
    reference BLOB NOT NULL,
    document_sha256 TEXT NOT NULL CHECK (length(document_sha256) = 64),
    -- a JSON list of words of core/lawful.py
    scope TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms > since_ms),
    -- who entered it and who decided: an account, or `shell:` and the user of the system
    requester TEXT NOT NULL,
    approver TEXT,
    opened_at_ms INTEGER NOT NULL,
    decided_at_ms INTEGER,
    expires_at_ms INTEGER NOT NULL,
    produced_at_ms INTEGER,
    -- what went out: scopes with their numbers of rows, as JSON, and the sealed file's hash
    produced TEXT,
    produced_sha256 TEXT CHECK (length(produced_sha256) = 64),
    -- the canary report with which a request for content was answered
    canary_sha256 TEXT,
    gag_until_ms INTEGER,
    notified_at_ms INTEGER,
    CHECK (approver IS NULL OR approver <> requester),
    CHECK (state <> 'produced' OR (approver IS NOT NULL AND produced_sha256 IS NOT NULL))
) STRICT;

CREATE INDEX legal_requests_by_account ON legal_requests (account_id);

CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    -- NULL: written by somebody who is not signed in
    account_id TEXT REFERENCES accounts (id),
    class TEXT NOT NULL CHECK (class IN
        ('question', 'billing', 'privacy', 'minor', 'security', 'appeal')),
    state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'closed')),
    -- whose key seals its texts
    owner TEXT NOT NULL,
    subject BLOB NOT NULL,
    -- where to answer somebody without an account
    contact BLOB,
    language TEXT NOT NULL CHECK (language IN ('en', 'zh')),
    opened_at_ms INTEGER NOT NULL,
    -- the end of the clock that its class has
    due_at_ms INTEGER,
    first_answer_at_ms INTEGER,
    closed_at_ms INTEGER,
    CHECK ((state = 'closed') = (closed_at_ms IS NOT NULL))
) STRICT;

CREATE INDEX tickets_by_account ON tickets (account_id);
CREATE INDEX tickets_by_state ON tickets (state, due_at_ms);

CREATE TABLE ticket_messages (
    id TEXT NOT NULL PRIMARY KEY,
    ticket_id TEXT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    author TEXT NOT NULL CHECK (author IN ('holder', 'operator')),
    written_at_ms INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX ticket_messages_by_ticket ON ticket_messages (ticket_id, id);

-- A sale of the business: who takes the data over. Its notice tells everybody and has the answers.
CREATE TABLE handovers (
    id TEXT NOT NULL PRIMARY KEY,
    notice_id TEXT NOT NULL UNIQUE REFERENCES notices (id),
    state TEXT NOT NULL CHECK (state IN ('announced', 'cancelled', 'bundled')),
    recipient TEXT NOT NULL,
    contact TEXT NOT NULL,
    -- whether the recipient has purposes of its own, for which it must ask again
    new_purposes INTEGER NOT NULL CHECK (new_purposes IN (0, 1)),
    announced_at_ms INTEGER NOT NULL,
    window_ends_ms INTEGER NOT NULL CHECK (window_ends_ms > announced_at_ms),
    bundled_at_ms INTEGER,
    accounts INTEGER,
    bundle_sha256 TEXT CHECK (length(bundle_sha256) = 64)
) STRICT;

-- What the sweep did last, by category of core/retention.py.
CREATE TABLE sweeps (
    category TEXT NOT NULL PRIMARY KEY,
    swept_at_ms INTEGER NOT NULL,
    -- of the last sweep, and of all
    last_rows INTEGER NOT NULL CHECK (last_rows >= 0),
    all_rows INTEGER NOT NULL CHECK (all_rows >= 0)
) STRICT;
