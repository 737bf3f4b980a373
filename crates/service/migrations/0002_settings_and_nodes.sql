-- Settings of the analysis in JSON, as they were when the task was created.
ALTER TABLE tasks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- Nodes and backups that are analysed beside the first one, a list in JSON.
ALTER TABLE tasks ADD COLUMN more TEXT NOT NULL DEFAULT '[]';
