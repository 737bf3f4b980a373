-- Milliseconds since 1970, the only time there is. It goes on inside a transaction.
CREATE VIEW clock AS
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms;
