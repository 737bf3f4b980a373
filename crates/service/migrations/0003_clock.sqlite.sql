-- Milliseconds since 1970, the only time there is.
CREATE VIEW clock AS
SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms;
