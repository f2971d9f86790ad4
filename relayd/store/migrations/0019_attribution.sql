-- Who wants to see what application a request says it is of: what the relay asks of all accounts.
CREATE INDEX consents_attribution ON consents (account_id, number) WHERE item = 'app_attribution';

-- Self-assessments look at the age of what relayd is installed with, too.
CREATE TABLE assessments_wider (
    at_ms INTEGER NOT NULL,
    subject TEXT NOT NULL CHECK (subject IN (
        'audit', 'certificate', 'master_key', 'retention', 'canary', 'dependencies')),
    level TEXT NOT NULL CHECK (level IN ('ok', 'warn', 'fail')),
    -- days, or the number of a broken event; NULL where there is none
    figure INTEGER,
    PRIMARY KEY (at_ms, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO assessments_wider (at_ms, subject, level, figure)
    SELECT at_ms, subject, level, figure FROM assessments;
DROP TABLE assessments;
ALTER TABLE assessments_wider RENAME TO assessments;

-- Sums of call_records per hour by the application that requests name, of keys without a label.
CREATE TABLE app_rollups (
    hour_ms INTEGER NOT NULL CHECK (hour_ms % 3600000 = 0),
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    app TEXT NOT NULL,
    currency TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    cache_creation_input_tokens INTEGER NOT NULL,
    reasoning_output_tokens INTEGER NOT NULL,
    audio_input_tokens INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    amount_nano INTEGER NOT NULL,
    PRIMARY KEY (account_id, hour_ms, key_id, app, currency)
) STRICT, WITHOUT ROWID;
CREATE INDEX app_rollups_by_hour ON app_rollups (hour_ms);
