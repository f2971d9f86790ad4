-- Parts of a call's use that only its price needs.

ALTER TABLE call_records ADD COLUMN cache_creation_1h_input_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (cache_creation_1h_input_tokens >= 0);
ALTER TABLE call_records ADD COLUMN image_input_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (image_input_tokens >= 0);
ALTER TABLE call_records ADD COLUMN image_output_tokens INTEGER NOT NULL DEFAULT 0
    CHECK (image_output_tokens >= 0);
ALTER TABLE call_records ADD COLUMN images INTEGER NOT NULL DEFAULT 0 CHECK (images >= 0);
ALTER TABLE call_records ADD COLUMN audio_seconds INTEGER NOT NULL DEFAULT 0
    CHECK (audio_seconds >= 0);
