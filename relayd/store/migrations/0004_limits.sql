-- Limits of an account's or a key's own; what is not here follows the configuration. 0: no limit.
-- Budgets are amounts, 10^-9 of the currency.

CREATE TABLE account_limits (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_limits (
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (key_id, name)
) STRICT, WITHOUT ROWID;
