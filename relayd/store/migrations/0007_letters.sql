-- Mail, documents, consents, notices.

-- Mails to be sent, and when those before were. Who it goes to and what it says are sealed under
-- `owner`, an account or a month (mail:2026-11), and gone once it is sent.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    account_id TEXT REFERENCES accounts (id),
    kind TEXT NOT NULL,
    class TEXT NOT NULL CHECK (class IN ('service', 'product', 'marketing')),
    language TEXT NOT NULL CHECK (language IN ('en', 'zh')),
    recipient BLOB,
    fields BLOB,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'refused', 'expired', 'withdrawn')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    -- what the last attempt came to: a word of ops/smtp.py
    outcome TEXT,
    queued_at_ms INTEGER NOT NULL,
    next_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    CHECK ((recipient IS NULL) = (fields IS NULL)),
    CHECK ((state IN ('sent', 'withdrawn')) = (recipient IS NULL)),
    CHECK ((state = 'queued') = (ended_at_ms IS NULL))
) STRICT;

CREATE INDEX outbox_due ON outbox (next_at_ms) WHERE state = 'queued';
CREATE INDEX outbox_by_account ON outbox (account_id) WHERE account_id IS NOT NULL;

-- Every version of every document, in every language, as it was and is served.
CREATE TABLE documents (
    name TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    language TEXT NOT NULL CHECK (language IN ('en', 'zh')),
    body TEXT NOT NULL,
    -- SHA-256 of the body, in hexadecimal digits
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    kind TEXT NOT NULL CHECK (kind IN ('first', 'editorial', 'material')),
    -- what is gated until its holder agrees: nothing, the console, or keys as well
    gate TEXT NOT NULL CHECK (gate IN ('none', 'console', 'keys')),
    summary TEXT NOT NULL,
    -- a JSON list of consent items that are asked for anew
    items TEXT NOT NULL,
    published_at_ms INTEGER NOT NULL,
    effective_at_ms INTEGER NOT NULL,
    PRIMARY KEY (name, version, language)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER documents_stay BEFORE UPDATE ON documents
BEGIN SELECT RAISE(ABORT, 'a published document does not change'); END;
CREATE TRIGGER documents_remain BEFORE DELETE ON documents
BEGIN SELECT RAISE(ABORT, 'a published document is not deleted'); END;

-- Who agreed to what, and withdrew it. The words are in `documents`, found by their digest.
CREATE TABLE consents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    item TEXT NOT NULL,
    act TEXT NOT NULL CHECK (act IN ('explicit', 'accepted_by_use', 'withdrawn')),
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    language TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('console', 'api', 'mail', 'shell', 'use')),
    at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX consents_by_account ON consents (account_id, item, number);
-- what the relay asks of all accounts at once
CREATE INDEX consents_overseas ON consents (account_id, number) WHERE item = 'overseas_routes';

CREATE TRIGGER consents_stay BEFORE UPDATE ON consents
BEGIN SELECT RAISE(ABORT, 'a consent does not change'); END;

-- What is shown on every page for a time, and mailed to everybody; product and marketing are mailed
-- to those who agreed, and not shown.
CREATE TABLE notices (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN
        ('document', 'transfer', 'service', 'product', 'marketing')),
    -- JSON: what the notice says, by field
    fields TEXT NOT NULL,
    starts_at_ms INTEGER NOT NULL,
    ends_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    -- the last account that its mail is queued for, in the order of ids; '' before the first
    mailed_to TEXT NOT NULL,
    mailed_at_ms INTEGER,
    CHECK (ends_at_ms > starts_at_ms)
) STRICT;

-- What holders answered to a notice: objections to a transfer.
CREATE TABLE notice_answers (
    notice_id TEXT NOT NULL REFERENCES notices (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    answer TEXT NOT NULL CHECK (answer IN ('objected', 'agreed')),
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (notice_id, account_id)
) STRICT, WITHOUT ROWID;
