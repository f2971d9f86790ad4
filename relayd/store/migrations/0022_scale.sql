-- Indexes for stores that have grown: what a page, a list or a job asks for is found by one of
-- them, in the order in which it is wanted, and no table is read from end to end for ten rows.
-- Ids are ULIDs, so the order of ids is that of time.

DROP INDEX api_keys_by_account;
CREATE INDEX api_keys_by_account ON api_keys (account_id, id);
CREATE INDEX accounts_by_time ON accounts (created_at_ms);
CREATE INDEX sessions_by_age ON sessions (created_at_ms);

DROP INDEX orders_by_account;
CREATE INDEX orders_by_account ON orders (account_id, id);
DROP INDEX orders_by_state;
CREATE INDEX orders_by_state ON orders (state, id);
CREATE INDEX orders_by_time ON orders (created_at_ms);
CREATE INDEX orders_by_payment ON orders (paid_at_ms, id) WHERE paid_at_ms IS NOT NULL;
CREATE INDEX refunds_pending ON refunds (asked_at_ms, id) WHERE state = 'pending';
CREATE INDEX refunds_by_end ON refunds (ended_at_ms, id) WHERE state = 'done';
CREATE INDEX disputes_by_time ON disputes (opened_at_ms, id);
CREATE INDEX partner_events_by_outcome ON partner_events (outcome, at_ms);
CREATE INDEX grants_by_time ON grants (created_at_ms, id);

DROP INDEX invoices_by_account;
CREATE INDEX invoices_by_account ON invoices (account_id, id);
CREATE INDEX invoices_by_kind ON invoices (kind, id);
-- else each one that goes is looked for in the whole table
CREATE INDEX invoices_by_reversed ON invoices (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX fapiao_by_reversed ON fapiao (reverses) WHERE reverses IS NOT NULL;

CREATE INDEX outbox_by_state ON outbox (state, id);
CREATE INDEX outbox_by_end ON outbox (ended_at_ms);

CREATE INDEX grants_of_account ON grants (account_id, created_at_ms, id);
CREATE INDEX tickets_by_end ON tickets (closed_at_ms);
-- what a partner calls a payment, and until when it is kept
CREATE INDEX orders_named ON orders (created_at_ms) WHERE session IS NOT NULL OR trade IS NOT NULL;
CREATE INDEX code_uses_by_account ON code_uses (account_id);
CREATE INDEX notice_answers_by_account ON notice_answers (account_id);
CREATE INDEX outbox_by_queued ON outbox (queued_at_ms) WHERE state = 'queued';
