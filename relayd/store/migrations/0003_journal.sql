-- How far each lane of the journal is in this store: every call that closed up to line `applied`
-- is in call_records. Changed in the transaction that inserts them.

CREATE TABLE journal_lanes (
    lane INTEGER NOT NULL PRIMARY KEY CHECK (lane >= 0),
    applied INTEGER NOT NULL CHECK (applied >= 0)
) STRICT;
