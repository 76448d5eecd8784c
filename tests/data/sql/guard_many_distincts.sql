-- Cases of the guard rule many_distincts: what it finds in the statement below, or nothing.
-- finds: 3 different DISTINCT aggregates
SELECT count(DISTINCT k) AS p, count(DISTINCT x) AS q, count(DISTINCT s) AS r FROM a;
-- nothing
SELECT count(DISTINCT k) AS p, count(DISTINCT x) AS q, count(DISTINCT k) + 1 AS r FROM a;
-- nothing
SELECT DISTINCT k, x, s FROM a;
-- nothing: one in each SELECT
SELECT count(DISTINCT k) AS n FROM a UNION ALL SELECT count(DISTINCT x) FROM a UNION ALL SELECT count(DISTINCT s) FROM a;
