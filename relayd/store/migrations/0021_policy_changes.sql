-- What of the policy changed with which version of it, so that a relay with many keys reads what is
-- new and not all of them. A row is of the version that its transaction makes: triggers write it,
-- and `bump_policy_version` deletes those that nobody needs. `key_id` '': every key of the account.
CREATE TABLE policy_changes (
    version INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (version, account_id, key_id)
) STRICT, WITHOUT ROWID;

-- an account may have had any number of keys, and few that work
CREATE INDEX api_keys_active ON api_keys (account_id) WHERE state = 'active';

CREATE TRIGGER policy_of_new_keys AFTER INSERT ON api_keys BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, NEW.id
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_keys AFTER UPDATE OF app, models, state, expires_at_ms ON api_keys
WHEN OLD.state = 'active' OR NEW.state = 'active' BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, NEW.id
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_accounts AFTER UPDATE OF state ON accounts
WHEN NEW.state <> OLD.state BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.id, ''
    FROM counters WHERE name = 'policy_version';
END;

CREATE TRIGGER policy_of_new_limits AFTER INSERT ON account_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_limits AFTER UPDATE ON account_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_old_limits AFTER DELETE ON account_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, OLD.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_new_key_limits AFTER INSERT ON key_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT c.value + 1, k.account_id, k.id
    FROM counters c, api_keys k WHERE c.name = 'policy_version' AND k.id = NEW.key_id;
END;
CREATE TRIGGER policy_of_key_limits AFTER UPDATE ON key_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT c.value + 1, k.account_id, k.id
    FROM counters c, api_keys k WHERE c.name = 'policy_version' AND k.id = NEW.key_id;
END;
CREATE TRIGGER policy_of_old_key_limits AFTER DELETE ON key_limits BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT c.value + 1, k.account_id, k.id
    FROM counters c, api_keys k WHERE c.name = 'policy_version' AND k.id = OLD.key_id;
END;

CREATE TRIGGER policy_of_consents AFTER INSERT ON consents
WHEN NEW.item IN ('overseas_routes', 'training_routes', 'app_attribution') BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_old_consents AFTER DELETE ON consents
WHEN OLD.item IN ('overseas_routes', 'training_routes', 'app_attribution') BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, OLD.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;

CREATE TRIGGER policy_of_new_plans AFTER INSERT ON account_plans BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_plans AFTER UPDATE ON account_plans BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, NEW.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
CREATE TRIGGER policy_of_old_plans AFTER DELETE ON account_plans BEGIN
    INSERT OR IGNORE INTO policy_changes SELECT value + 1, OLD.account_id, ''
    FROM counters WHERE name = 'policy_version';
END;
