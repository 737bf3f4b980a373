-- What was found of instances whose nodes are looked for.
CREATE TABLE findings (
    instance_id  TEXT   NOT NULL PRIMARY KEY,
    -- Rises with each that is stored; one that was made of an older one is refused.
    number       BIGINT NOT NULL DEFAULT 0,
    -- When a process began to look the last time.
    looked_at_ms BIGINT NOT NULL,
    -- The nodes, in JSON.
    finding      TEXT   NOT NULL DEFAULT '{"nodes":[]}'
);

-- Hosts of which a backup is being taken, one at a time whatever process takes it.
CREATE TABLE hosts (
    host           TEXT   NOT NULL PRIMARY KEY,
    -- Who takes it.
    holder         TEXT   NOT NULL,
    lease_until_ms BIGINT NOT NULL
);

-- How far a backup is: bytes that have come, and hundredths of a percent.
ALTER TABLE backups ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE backups ADD COLUMN progress BIGINT NOT NULL DEFAULT 0;
