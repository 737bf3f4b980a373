-- Access keys, their secret keys encrypted together with the other columns.
CREATE TABLE credentials (
    ak            TEXT   NOT NULL PRIMARY KEY,
    projects      TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    -- Of a temporary credential: SHA-256 of its security token, and its end.
    token_hash    TEXT,
    expire_at_ms  BIGINT,
    key_id        TEXT   NOT NULL,
    sealed_sk     BYTEA  NOT NULL
);

-- Signatures of writes that have taken effect, for as long as their date is good.
CREATE TABLE signatures (
    signature     TEXT   NOT NULL PRIMARY KEY,
    expire_at_ms  BIGINT NOT NULL
);

CREATE INDEX signatures_expire_at ON signatures (expire_at_ms);
