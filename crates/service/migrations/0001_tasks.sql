CREATE TABLE tasks (
    id             TEXT    NOT NULL PRIMARY KEY,
    project_id     TEXT    NOT NULL,
    instance_id    TEXT    NOT NULL,
    backup_id      TEXT    NOT NULL,
    -- The node as it was when the task was created.
    node_id        TEXT    NOT NULL,
    node_name      TEXT    NOT NULL,
    node_ip        TEXT    NOT NULL,
    node_role      TEXT    NOT NULL CHECK (node_role IN ('master', 'slave')),
    group_name     TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'success', 'failed')),
    created_at_ms  BIGINT  NOT NULL,
    started_at_ms  BIGINT,
    finished_at_ms BIGINT,
    -- Rises whenever a worker takes the task; its writes name it and are refused once it rose.
    attempt        BIGINT  NOT NULL DEFAULT 0,
    -- How many workers died of it.
    died           BIGINT  NOT NULL DEFAULT 0,
    lease_until_ms BIGINT,
    bytes_read     BIGINT  NOT NULL DEFAULT 0,
    bytes_total    BIGINT  NOT NULL DEFAULT 0,
    key_count      BIGINT  NOT NULL DEFAULT 0,
    error          TEXT,
    report         TEXT
);

-- One analysis at a time for each instance.
CREATE UNIQUE INDEX tasks_active ON tasks (instance_id) WHERE state IN ('waiting', 'running');

CREATE INDEX tasks_by_instance ON tasks (project_id, instance_id, created_at_ms);
CREATE INDEX tasks_by_state ON tasks (state, created_at_ms);
