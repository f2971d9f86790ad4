-- Invoices and receipts, enterprise profiles, fapiao. Who buys is sealed under the key of the year
-- in which the document ends (`vault:YEAR`); what an enterprise said of itself under its account's.

INSERT INTO counters (name, value) VALUES ('invoices_ended_ms', 0);

CREATE TABLE invoices (
    id TEXT NOT NULL PRIMARY KEY,
    series TEXT NOT NULL CHECK (series IN ('INV', 'REC')),
    year INTEGER NOT NULL CHECK (year BETWEEN 1970 AND 9999),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('use', 'receipt', 'counter')),
    state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'void', 'uncollectible')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    period_start_ms INTEGER NOT NULL,
    period_end_ms INTEGER NOT NULL CHECK (period_end_ms > period_start_ms),
    issued_at_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms > issued_at_ms),
    vault_year INTEGER NOT NULL,
    -- the exact sum of the lines; then whole minor units, rounded once
    amount_nano INTEGER NOT NULL,
    net_minor INTEGER NOT NULL,
    tax_minor INTEGER NOT NULL,
    total_minor INTEGER NOT NULL CHECK (total_minor = net_minor + tax_minor),
    -- hundredths of a percent, and whether the prices have it in them
    vat_rate INTEGER NOT NULL CHECK (vat_rate BETWEEN 0 AND 10000),
    vat_inclusive INTEGER NOT NULL CHECK (vat_inclusive IN (0, 1)),
    lines INTEGER NOT NULL CHECK (lines > 0),
    reverses TEXT REFERENCES invoices (id),
    -- why there is one, where there can be one alone: an order, a refund, an invoice that is void
    cause TEXT UNIQUE,
    -- JSON: the operator as declared that day, public
    seller TEXT NOT NULL,
    buyer BLOB NOT NULL,
    UNIQUE (series, year, sequence),
    CHECK ((kind = 'counter') = (reverses IS NOT NULL))
) STRICT;

CREATE INDEX invoices_by_account ON invoices (account_id, issued_at_ms);
CREATE INDEX invoices_by_period ON invoices (period_start_ms, account_id);
CREATE INDEX invoices_by_end ON invoices (until_ms);

CREATE TABLE invoice_lines (
    invoice_id TEXT NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    kind TEXT NOT NULL CHECK (kind IN
        ('use', 'fee', 'proration', 'credit', 'top_up', 'refund')),
    -- a model, a transfer, an order, a refund
    reference TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    amount_nano INTEGER NOT NULL,
    PRIMARY KEY (invoice_id, position)
) STRICT, WITHOUT ROWID;

-- No number is left out, none is given twice, and none comes back.
CREATE TRIGGER invoices_have_no_gap BEFORE INSERT ON invoices
WHEN NEW.sequence <> 1 + COALESCE((SELECT MAX(sequence) FROM invoices
    WHERE series = NEW.series AND year = NEW.year), 0) BEGIN
    SELECT RAISE(ABORT, 'a gap');
END;
-- What was issued stays as it was: the state alone moves.
CREATE TRIGGER invoices_stay BEFORE UPDATE OF
    id, series, year, sequence, account_id, kind, currency, period_start_ms, period_end_ms,
    issued_at_ms, until_ms, vault_year, amount_nano, net_minor, tax_minor, total_minor, vat_rate,
    vat_inclusive, lines, reverses, cause, seller, buyer ON invoices BEGIN
    SELECT RAISE(ABORT, 'immutable');
END;
CREATE TRIGGER invoices_remain BEFORE DELETE ON invoices
WHEN OLD.until_ms > (SELECT value FROM counters WHERE name = 'invoices_ended_ms') BEGIN
    SELECT RAISE(ABORT, 'kept by law');
END;
CREATE TRIGGER invoice_lines_are_counted BEFORE INSERT ON invoice_lines
WHEN NEW.position >= (SELECT lines FROM invoices WHERE id = NEW.invoice_id) BEGIN
    SELECT RAISE(ABORT, 'immutable');
END;
CREATE TRIGGER invoice_lines_stay BEFORE UPDATE ON invoice_lines BEGIN
    SELECT RAISE(ABORT, 'immutable');
END;
CREATE TRIGGER invoice_lines_remain BEFORE DELETE ON invoice_lines
WHEN (SELECT until_ms FROM invoices WHERE id = OLD.invoice_id)
    > (SELECT value FROM counters WHERE name = 'invoices_ended_ms') BEGIN
    SELECT RAISE(ABORT, 'kept by law');
END;

-- A row here is what makes an account an enterprise's; `profile` is what it said of itself.
CREATE TABLE enterprises (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    marked_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    profile BLOB
) STRICT, WITHOUT ROWID;

-- Blue ones are applied for from paid orders; red ones take back a blue one, or a part of it.
CREATE TABLE fapiao (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('ordinary', 'special')),
    state TEXT NOT NULL CHECK (state IN (
        'submitted', 'reviewing', 'issuing', 'issued', 'delivered', 'part_reversed', 'reversed',
        'rejected', 'cancelled', 'red_requested', 'red_confirming', 'red_issued', 'red_refused')),
    reason TEXT,
    -- fen: below zero for red ones
    amount_minor INTEGER NOT NULL CHECK ((reverses IS NULL) = (amount_minor > 0)
        AND amount_minor <> 0),
    tax_minor INTEGER NOT NULL,
    vat_rate INTEGER NOT NULL CHECK (vat_rate BETWEEN 0 AND 10000),
    created_at_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    vault_year INTEGER NOT NULL,
    reverses TEXT REFERENCES fapiao (id),
    -- of the confirmation that a red one needs
    confirmation TEXT UNIQUE CHECK (length(confirmation) = 20),
    number TEXT UNIQUE CHECK (length(number) = 20),
    issued_on TEXT CHECK (length(issued_on) = 10),
    buyer BLOB NOT NULL
) STRICT;

CREATE INDEX fapiao_by_account ON fapiao (account_id, created_at_ms);
CREATE INDEX fapiao_by_state ON fapiao (state, created_at_ms);
CREATE INDEX fapiao_by_end ON fapiao (until_ms);

CREATE TABLE fapiao_orders (
    fapiao_id TEXT NOT NULL REFERENCES fapiao (id) ON DELETE CASCADE,
    order_id TEXT NOT NULL REFERENCES orders (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (fapiao_id, order_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX fapiao_orders_by_order ON fapiao_orders (order_id);

CREATE TABLE fapiao_files (
    fapiao_id TEXT NOT NULL REFERENCES fapiao (id) ON DELETE CASCADE,
    format TEXT NOT NULL CHECK (format IN ('xml', 'pdf', 'ofd')),
    stored_at_ms INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (fapiao_id, format)
) STRICT, WITHOUT ROWID;
