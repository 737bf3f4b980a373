-- Backups that were taken, or are to be taken, of live nodes.
CREATE TABLE backups (
    id             TEXT   NOT NULL PRIMARY KEY,
    project_id     TEXT   NOT NULL,
    instance_id    TEXT   NOT NULL,
    remark         TEXT   NOT NULL,
    -- manual: a client asked for it; auto: the schedule did; analysis: an analysis needs it.
    kind           TEXT   NOT NULL CHECK (kind IN ('manual', 'auto', 'analysis')),
    state          TEXT   NOT NULL CHECK (state IN ('waiting', 'backuping', 'succeed', 'failed')),
    -- Nodes and the names of their files, a list in JSON.
    files          TEXT   NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    updated_at_ms  BIGINT NOT NULL,
    -- Rises whenever a process takes it up; its writes name it and are refused once it rose.
    attempt        BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    error          TEXT
);

-- One at a time for each instance.
CREATE UNIQUE INDEX backups_active ON backups (instance_id)
    WHERE state IN ('waiting', 'backuping');

CREATE INDEX backups_by_instance ON backups (instance_id, created_at_ms);
