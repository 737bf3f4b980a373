-- Tasks with a higher number are run first.
ALTER TABLE tasks ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;

-- What workers do for a task that waits or runs; gone once it has ended.
CREATE TABLE parts (
    task_id        TEXT   NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    -- whole: one analysis of all backups. Else count each backup, join the counts, where prefixes
    -- outgrew their memory recount each backup, report.
    step           TEXT   NOT NULL
        CHECK (step IN ('whole', 'count', 'join', 'recount', 'report')),
    -- Which backup; 0 where it is all of them.
    number         BIGINT NOT NULL,
    state          TEXT   NOT NULL CHECK (state IN ('waiting', 'running', 'done')),
    -- Rises whenever a worker takes the part; its writes name it and are refused once it rose.
    attempt        BIGINT NOT NULL DEFAULT 0,
    -- How many workers died of it.
    died           BIGINT NOT NULL DEFAULT 0,
    -- How many attempts met a fault that may pass.
    faults         BIGINT NOT NULL DEFAULT 0,
    not_before_ms  BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    worker_id      TEXT,
    bytes_read     BIGINT NOT NULL DEFAULT 0,
    bytes_total    BIGINT NOT NULL DEFAULT 0,
    key_count      BIGINT NOT NULL DEFAULT 0,
    -- Of a part that is done: a partial of `analysis`.
    result         BYTEA,
    PRIMARY KEY (task_id, step, number)
);

CREATE INDEX parts_by_state ON parts (state);

-- What the version before left unfinished is done in one go.
INSERT INTO parts (task_id, step, number, state, attempt, died)
SELECT id, 'whole', 0, 'waiting', attempt, died FROM tasks WHERE state IN ('waiting', 'running');

UPDATE tasks SET state = 'waiting', started_at_ms = NULL WHERE state = 'running';

ALTER TABLE tasks DROP COLUMN attempt;
ALTER TABLE tasks DROP COLUMN died;
ALTER TABLE tasks DROP COLUMN lease_until_ms;

-- Processes that run tasks, or ran them lately.
CREATE TABLE workers (
    id            TEXT   NOT NULL PRIMARY KEY,
    -- Tasks it can run at the same time.
    slots         BIGINT NOT NULL,
    seen_at_ms    BIGINT NOT NULL
);
