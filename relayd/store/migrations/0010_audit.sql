-- Audit events: who did what to whose data, each with a hash over itself and the one before it.
-- `target` is an account's id; nothing else in a row names anybody, and `reason` is sealed.

CREATE TABLE audit_log (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    at_ms INTEGER NOT NULL,
    actor TEXT,
    roles TEXT NOT NULL,
    via TEXT NOT NULL CHECK (via IN ('console', 'api', 'shell', 'system')),
    action TEXT NOT NULL,
    target TEXT,
    reason BLOB,
    details TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_log_by_target ON audit_log (target, seq) WHERE target IS NOT NULL;
CREATE INDEX audit_log_by_actor ON audit_log (actor, seq) WHERE actor IS NOT NULL;

-- A signed statement that the chain ended in `hash` with event `seq`; `root` is the RFC 6962 tree
-- of the events since the checkpoint before. A checkpoint with `pruned_seq` lets the events up to
-- there be deleted: `pruned_hash` is the hash of the last of them, from which the chain goes on.

CREATE TABLE audit_checkpoints (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    at_ms INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    root BLOB NOT NULL CHECK (length(root) = 32),
    pruned_seq INTEGER NOT NULL CHECK (pruned_seq BETWEEN 0 AND seq - 1),
    pruned_hash BLOB NOT NULL CHECK (length(pruned_hash) = 32),
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

CREATE TRIGGER audit_log_goes_on BEFORE INSERT ON audit_log
WHEN NEW.seq IS NOT 1 + COALESCE(
    (SELECT MAX(seq) FROM audit_log), (SELECT MAX(seq) FROM audit_checkpoints), 0)
BEGIN SELECT RAISE(ABORT, 'audit events are numbered without gaps'); END;

CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit events do not change'); END;

CREATE TRIGGER audit_log_is_kept BEFORE DELETE ON audit_log
WHEN OLD.seq > COALESCE((SELECT MAX(pruned_seq) FROM audit_checkpoints), 0)
BEGIN SELECT RAISE(ABORT, 'only pruned audit events are deleted'); END;

CREATE TRIGGER audit_checkpoints_go_on BEFORE INSERT ON audit_checkpoints
WHEN NEW.seq <= COALESCE((SELECT MAX(seq) FROM audit_checkpoints), 0)
    OR NEW.pruned_seq < COALESCE((SELECT MAX(pruned_seq) FROM audit_checkpoints), 0)
BEGIN SELECT RAISE(ABORT, 'checkpoints go on'); END;

CREATE TRIGGER audit_checkpoints_stay BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints do not change'); END;

CREATE TRIGGER audit_checkpoints_are_kept BEFORE DELETE ON audit_checkpoints
WHEN OLD.seq >= COALESCE((SELECT MAX(pruned_seq) FROM audit_checkpoints), 0)
BEGIN SELECT RAISE(ABORT, 'checkpoints are kept'); END;
