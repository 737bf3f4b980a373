-- new: the backup was taken for the task; old: it was there.
ALTER TABLE tasks ADD COLUMN backup TEXT NOT NULL DEFAULT 'old' CHECK (backup IN ('old', 'new'));

UPDATE tasks SET backup = 'new' WHERE backup_id IN (SELECT id FROM backups WHERE kind = 'analysis');

-- no: it is removed once the analysis that it was taken for has ended.
ALTER TABLE backups ADD COLUMN keep TEXT NOT NULL DEFAULT 'yes' CHECK (keep IN ('yes', 'no'));

CREATE INDEX backups_unkept ON backups (state) WHERE keep = 'no';
