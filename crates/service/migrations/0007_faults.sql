-- A backup that met a fault which may pass is taken again, not before its time.
ALTER TABLE backups ADD COLUMN faults BIGINT NOT NULL DEFAULT 0;
ALTER TABLE backups ADD COLUMN not_before_ms BIGINT NOT NULL DEFAULT 0;

-- What the part reads, for the message where it has killed its workers.
ALTER TABLE parts ADD COLUMN file TEXT;
