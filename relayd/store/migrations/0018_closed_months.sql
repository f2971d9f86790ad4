-- Months that were closed into invoices and receipts, and what was issued for each: counted in the
-- transactions that issue, so that a run which broke off, or two at once, leave the true numbers.
CREATE TABLE closed_months (
    start_ms INTEGER NOT NULL PRIMARY KEY,
    begun_ms INTEGER NOT NULL,
    -- NULL: it is under way, or broke off
    closed_ms INTEGER,
    invoices INTEGER NOT NULL DEFAULT 0 CHECK (invoices >= 0),
    receipts INTEGER NOT NULL DEFAULT 0 CHECK (receipts >= 0)
) STRICT;
