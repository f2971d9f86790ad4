-- What calls cost, kept per account beside the ledger, so that nobody has to add up hours. A job
-- charges the ledger from here. Whoever must know of every change of somebody's money asks for
-- those above the number that was seen last.

CREATE TABLE account_use (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    -- the sum of the account's rollups, and what of it the ledger was charged with
    used_nano INTEGER NOT NULL CHECK (used_nano >= 0),
    charged_nano INTEGER NOT NULL DEFAULT 0 CHECK (charged_nano BETWEEN 0 AND used_nano),
    PRIMARY KEY (account_id, currency)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_use_to_charge ON account_use (account_id) WHERE used_nano > charged_nano;

-- money that an account may owe
CREATE TABLE credit_lines (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    credit_nano INTEGER NOT NULL CHECK (credit_nano BETWEEN 0 AND 9007199254740992),
    PRIMARY KEY (account_id, currency)
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('money_version', 0);

CREATE TABLE money_changes (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    -- the counter `money_version` at the last change
    version INTEGER NOT NULL,
    PRIMARY KEY (account_id, currency)
) STRICT, WITHOUT ROWID;

CREATE INDEX money_changes_by_version ON money_changes (version);

-- what was used before there was a ledger is not charged
INSERT INTO account_use (account_id, currency, used_nano, charged_nano)
SELECT account_id, currency, SUM(amount_nano), SUM(amount_nano)
FROM rollups WHERE account_id <> '' GROUP BY account_id, currency;

-- '' stands for erased accounts: what is theirs was added when it was theirs
CREATE TRIGGER rollups_are_used AFTER INSERT ON rollups
WHEN NEW.account_id <> '' AND NEW.amount_nano > 0 BEGIN
    INSERT INTO account_use (account_id, currency, used_nano)
    VALUES (NEW.account_id, NEW.currency, NEW.amount_nano)
    ON CONFLICT (account_id, currency) DO UPDATE SET used_nano = used_nano + excluded.used_nano;
END;

CREATE TRIGGER rollups_grow AFTER UPDATE OF amount_nano ON rollups
WHEN NEW.account_id <> '' AND NEW.amount_nano <> OLD.amount_nano BEGIN
    INSERT INTO account_use (account_id, currency, used_nano)
    VALUES (NEW.account_id, NEW.currency, NEW.amount_nano - OLD.amount_nano)
    ON CONFLICT (account_id, currency) DO UPDATE SET used_nano = used_nano + excluded.used_nano;
END;

CREATE TRIGGER use_begins AFTER INSERT ON account_use BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'money_version';
    INSERT INTO money_changes SELECT NEW.account_id, NEW.currency, value
    FROM counters WHERE name = 'money_version'
    ON CONFLICT (account_id, currency) DO UPDATE SET version = excluded.version;
END;

CREATE TRIGGER use_changes AFTER UPDATE ON account_use BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'money_version';
    INSERT INTO money_changes SELECT NEW.account_id, NEW.currency, value
    FROM counters WHERE name = 'money_version'
    ON CONFLICT (account_id, currency) DO UPDATE SET version = excluded.version;
END;

CREATE TRIGGER credit_begins AFTER INSERT ON credit_lines BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'money_version';
    INSERT INTO money_changes SELECT NEW.account_id, NEW.currency, value
    FROM counters WHERE name = 'money_version'
    ON CONFLICT (account_id, currency) DO UPDATE SET version = excluded.version;
END;

CREATE TRIGGER credit_changes AFTER UPDATE ON credit_lines BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'money_version';
    INSERT INTO money_changes SELECT NEW.account_id, NEW.currency, value
    FROM counters WHERE name = 'money_version'
    ON CONFLICT (account_id, currency) DO UPDATE SET version = excluded.version;
END;

-- a holder's ledger accounts that calls are paid from; a new one has nothing yet
CREATE TRIGGER balances_change AFTER UPDATE OF balance_nano ON ledger_accounts
WHEN NEW.kind IN ('balance', 'promo') AND NEW.balance_nano <> OLD.balance_nano BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'money_version';
    INSERT INTO money_changes SELECT NEW.owner, NEW.currency, value
    FROM counters WHERE name = 'money_version'
    ON CONFLICT (account_id, currency) DO UPDATE SET version = excluded.version;
END;
