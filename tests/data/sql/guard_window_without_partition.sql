-- Cases of the guard rule window_without_partition: what it finds in the statement below, or nothing.
-- finds: sorts all rows of default.a in one task
SELECT x, row_number() OVER (ORDER BY x) AS r FROM a;
-- finds: sorts all rows of default.a in one task
SELECT r FROM (SELECT sum(x) OVER () AS r FROM a) d;
-- finds: sorts all rows of default.a in one task
SELECT sum(x) OVER w AS r FROM a WINDOW w AS (ORDER BY x);
-- nothing
SELECT x, row_number() OVER (PARTITION BY k ORDER BY x) AS r FROM a;
-- nothing
SELECT sum(x) OVER w AS r FROM a WINDOW w AS (PARTITION BY k);
-- nothing: over groups
SELECT k, rank() OVER (ORDER BY sum(x)) AS r FROM a GROUP BY k;
-- nothing
SELECT row_number() OVER (ORDER BY n) AS r FROM (SELECT count(*) AS n FROM a GROUP BY k) d;
