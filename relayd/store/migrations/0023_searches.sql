-- Searches of the web that a provider's own tool made: some providers charge for each.

ALTER TABLE call_records ADD COLUMN searches INTEGER NOT NULL DEFAULT 0 CHECK (searches >= 0);
