-- Until when a mail is one process's to send. Without it nobody could tell one that is being sent
-- from one that waits, and whoever asked for it to be tried again now had it sent twice.
ALTER TABLE outbox ADD COLUMN claimed_until_ms INTEGER;
