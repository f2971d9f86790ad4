-- What calls brought in and what they cost the operator, by UTC day; and what of an account's use
-- is older than the ledger, so that its charges can be held against the ledger's to the nano.

CREATE TABLE margins (
    day_ms INTEGER NOT NULL CHECK (day_ms % 86400000 = 0),
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    calls INTEGER NOT NULL CHECK (calls > 0),
    revenue_nano INTEGER NOT NULL CHECK (revenue_nano >= 0),
    cost_nano INTEGER NOT NULL CHECK (cost_nano >= 0),
    -- calls that the price file has no price for: their cost is not known
    unpriced INTEGER NOT NULL CHECK (unpriced BETWEEN 0 AND calls),
    PRIMARY KEY (day_ms, model, provider, currency)
) STRICT, WITHOUT ROWID;

ALTER TABLE account_use ADD COLUMN before_nano INTEGER NOT NULL DEFAULT 0
    CHECK (before_nano >= 0);

UPDATE account_use SET before_nano = charged_nano - COALESCE((
    SELECT -SUM(e.amount_nano) FROM ledger_accounts l
    JOIN entries e ON e.ledger_account = l.number
    JOIN transfers t ON t.number = e.transfer AND t.kind = 'charge' AND t.cause GLOB 'use:*'
    WHERE l.owner = account_use.account_id AND l.currency = account_use.currency
    AND l.kind IN ('balance', 'promo')), 0);
