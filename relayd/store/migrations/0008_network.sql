-- Who used a key from where. `sealed` is a JSON list under the key of its UTC month: key id, address,
-- port, TLS version, client. The id is a ULID of the time, so rows arrive in order and go in order.
-- No foreign key: a record outlives the account for as long as the law asks.

CREATE TABLE network_records (
    id TEXT NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    account_id TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX network_records_by_account ON network_records (account_id, at_ms);
