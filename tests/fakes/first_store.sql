-- A whole store as the first version wrote it: migrations 1 to 4, nothing sealed, an account erased.
BEGIN TRANSACTION;
CREATE TABLE account_limits (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "account_limits" VALUES('acct_01KDVDNA01X5GF9D32PEA9R4QJ','monthly_budget',2500000000);
INSERT INTO "account_limits" VALUES('acct_01KDVDNA01X5GF9D32PEA9R4QJ','requests_per_minute',60);
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT,
    -- case and composition folded away: what must be unique
    email_folded TEXT UNIQUE,
    name TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'erased')),
    created_at_ms INTEGER NOT NULL,
    CHECK ((state = 'erased') = (email IS NULL)),
    CHECK ((email IS NULL) = (email_folded IS NULL)),
    CHECK (state <> 'erased' OR name IS NULL)
) STRICT;
INSERT INTO "accounts" VALUES('acct_01KDVDNA00P8X4F49GVJHR7R5V','ann@example.org','ann@example.org','Ann','active',1767225600000);
INSERT INTO "accounts" VALUES('acct_01KDVDNA01X5GF9D32PEA9R4QJ','ben@example.org','ben@example.org',NULL,'active',1767225600001);
INSERT INTO "accounts" VALUES('acct_01KDVDNA02VHN00FPAZNTWFX6D',NULL,NULL,NULL,'erased',1767225600002);
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    -- keyed BLAKE2b (32 bytes) of the key's text; the text itself is nowhere
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    app TEXT,
    -- a JSON list of route names; NULL allows every route
    models TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    replaces TEXT REFERENCES api_keys (id)
) STRICT;
INSERT INTO "api_keys" VALUES('key_01KDVDNA03EF71SB1G3AN06TZ9','acct_01KDVDNA00P8X4F49GVJHR7R5V',X'05F5255736DFE5EBAAB061B7214A4D794549510CE5A83173DBB00BB723B4B9DC','sk-relayd-...WytI','laptop','notes','["gpt-*"]','active',1767225600003,NULL,NULL);
INSERT INTO "api_keys" VALUES('key_01KDVDNA04DZ6CWEW8W4KX0GJT','acct_01KDVDNA01X5GF9D32PEA9R4QJ',X'64431221F5EE8FB9CE5F2457A6BC94E07DE66775B96421ABB506036E6EF2B88D','sk-relayd-...R8Wo','server',NULL,NULL,'active',1767225600004,NULL,NULL);
INSERT INTO "api_keys" VALUES('key_01KDVDNA05PEJNW93NXH1VT780','acct_01KDVDNA02VHN00FPAZNTWFX6D',X'315412519EAC6D0B9AAD91D264E88E111C2A5CB8CE7E223B6F481F0ADB236E97','sk-relayd-...TGzA','erased',NULL,NULL,'revoked',1767225600005,NULL,NULL);
INSERT INTO "api_keys" VALUES('key_01KDVDNA06P1FT8Z7VPEV0HE58','acct_01KDVDNA01X5GF9D32PEA9R4QJ',X'B289D0F78B497D71671124CCC83D056B701A1138788DC5A3F8A43E08F4F19187','sk-relayd-...QOax','gone',NULL,NULL,'revoked',1767225600006,NULL,NULL);
CREATE TABLE call_records (
    id TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL CHECK (started_at_ms >= 0),
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    app TEXT,
    api TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    provider_model TEXT,
    stream INTEGER NOT NULL CHECK (stream IN (0, 1)),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 999),
    outcome TEXT NOT NULL,
    error TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
    output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
    cache_read_input_tokens INTEGER NOT NULL CHECK (cache_read_input_tokens >= 0),
    cache_creation_input_tokens INTEGER NOT NULL CHECK (cache_creation_input_tokens >= 0),
    reasoning_output_tokens INTEGER NOT NULL CHECK (reasoning_output_tokens >= 0),
    audio_input_tokens INTEGER NOT NULL CHECK (audio_input_tokens >= 0),
    audio_output_tokens INTEGER NOT NULL CHECK (audio_output_tokens >= 0),
    counted_input_tokens INTEGER CHECK (counted_input_tokens >= 0),
    counted_output_tokens INTEGER CHECK (counted_output_tokens >= 0),
    usage_source TEXT NOT NULL,
    amount_nano INTEGER NOT NULL CHECK (amount_nano BETWEEN 0 AND 9007199254740992),
    currency TEXT NOT NULL,
    first_byte_ms REAL CHECK (first_byte_ms >= 0),
    duration_ms REAL CHECK (duration_ms >= 0), cache_creation_1h_input_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (cache_creation_1h_input_tokens >= 0), image_input_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (image_input_tokens >= 0), image_output_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (image_output_tokens >= 0), images INTEGER NOT NULL DEFAULT 0 CHECK (images >= 0), audio_seconds INTEGER NOT NULL DEFAULT 0
    CHECK (audio_seconds >= 0),
    PRIMARY KEY (started_at_ms, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "call_records" VALUES('01KDVDNAZ80000000000000001',1767225601000,'acct_01KDVDNA00P8X4F49GVJHR7R5V','key_01KDVDNA03EF71SB1G3AN06TZ9','notes','openai','/v1/chat/completions','gpt-4o-mini','openai','gpt-4o-mini',1,200,'completed',NULL,1,100,20,50,3,7,2,1,99,NULL,'reported',1500,'USD',12.345,NULL,0,0,0,0,0);
INSERT INTO "call_records" VALUES('01KDVDNBYG0000000000000002',1767225602000,'acct_01KDVDNA01X5GF9D32PEA9R4QJ','key_01KDVDNA04DZ6CWEW8W4KX0GJT',NULL,'openai','/v1/chat/completions','gpt-4o-mini','openai','gpt-4o-mini',1,200,'completed',NULL,1,100,20,50,3,7,2,1,99,NULL,'reported',7,'USD',12.345,NULL,0,0,0,0,0);
INSERT INTO "call_records" VALUES('01KDVDNCXR0000000000000003',1767225603000,'acct_01KDVDNA02VHN00FPAZNTWFX6D','key_01KDVDNA05PEJNW93NXH1VT780','diary','openai','/v1/chat/completions','gpt-4o-mini','openai','gpt-4o-mini',1,200,'completed',NULL,1,100,20,50,3,7,2,1,99,NULL,'reported',0,'USD',12.345,NULL,0,0,0,0,0);
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL CHECK (value >= 0)
) STRICT;
INSERT INTO "counters" VALUES('policy_version',12);
CREATE TABLE journal_lanes (
    lane INTEGER NOT NULL PRIMARY KEY CHECK (lane >= 0),
    applied INTEGER NOT NULL CHECK (applied >= 0)
) STRICT;
INSERT INTO "journal_lanes" VALUES(0,2);
CREATE TABLE key_limits (
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    name TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (key_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "key_limits" VALUES('key_01KDVDNA03EF71SB1G3AN06TZ9','concurrent',4);
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO "meta" VALUES('secret_mark','b6d1c0a46d9ac67a');
CREATE TABLE rollups (
    hour_ms INTEGER NOT NULL CHECK (hour_ms % 3600000 = 0),
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
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
    PRIMARY KEY (hour_ms, account_id, key_id, model, provider, currency)
) STRICT, WITHOUT ROWID;
INSERT INTO "rollups" VALUES(1767225600000,'acct_01KDVDNA00P8X4F49GVJHR7R5V','key_01KDVDNA03EF71SB1G3AN06TZ9','gpt-4o-mini','openai','USD',1,100,20,50,3,7,2,1,1500);
INSERT INTO "rollups" VALUES(1767225600000,'acct_01KDVDNA01X5GF9D32PEA9R4QJ','key_01KDVDNA04DZ6CWEW8W4KX0GJT','gpt-4o-mini','openai','USD',1,100,20,50,3,7,2,1,7);
INSERT INTO "rollups" VALUES(1767225600000,'acct_01KDVDNA02VHN00FPAZNTWFX6D','key_01KDVDNA05PEJNW93NXH1VT780','gpt-4o-mini','openai','USD',1,100,20,50,3,7,2,1,0);
CREATE TABLE schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
) STRICT
;
INSERT INTO "schema_migrations" VALUES(1,'first');
INSERT INTO "schema_migrations" VALUES(2,'priced_parts');
INSERT INTO "schema_migrations" VALUES(3,'journal');
INSERT INTO "schema_migrations" VALUES(4,'limits');
CREATE INDEX api_keys_by_account ON api_keys (account_id);
CREATE INDEX rollups_by_account ON rollups (account_id, hour_ms);
COMMIT;
