-- What a statement scans: each line "-- table: columns | condition" is a scan, then the statement.
-- Tables: a (k, x, s), b (k, y), days (n, day; partitioned by day). A condition is written by
-- tests/unit/sql/scan/test_scanset.py; nothing behind the bar means no condition.
-- a: x | x >= 3
SELECT x FROM a WHERE x > 2;
-- a:  |
SELECT count(*) AS n FROM a;
-- a: k x | k = 1 and x <= 5
SELECT x FROM a WHERE k = 1 AND NOT x > 5;
-- a: k x | k >= 1
-- b: k y | y = 2
SELECT a.x FROM a JOIN b ON a.k = b.k AND b.y = 2 WHERE a.k >= 1;
-- a: k x |
-- b: k y | y = 2
SELECT a.x FROM a LEFT JOIN b ON a.k = b.k AND b.y = 2 AND a.x = 1;
-- a: k x |
-- b: k y |
SELECT a.x FROM a LEFT JOIN b ON a.k = b.k WHERE b.y IS NULL;
-- a: k x | k = 1
-- a: k x | k = 1
WITH w AS (SELECT k, x FROM a) SELECT p.x, q.x AS z FROM w p JOIN w q ON p.x = q.x WHERE p.k = 1 AND q.k = 1;
-- a: x |
WITH unused AS (SELECT y FROM b) SELECT x FROM a;
-- a: k x | k = 7
SELECT k, n FROM (SELECT k, sum(x) AS n FROM a GROUP BY k) d WHERE k = 7 AND n > 5;
-- a: k |
SELECT k FROM (SELECT k, count(*) AS n FROM a GROUP BY ROLLUP (k)) d WHERE k = 7;
-- a: k x | k = 7
SELECT r FROM (SELECT k, sum(x) OVER (PARTITION BY k) AS r FROM a) d WHERE k = 7;
-- a: k x |
SELECT r FROM (SELECT k, sum(x) OVER (ORDER BY k) AS r FROM a) d WHERE k = 7;
-- a: k x |
SELECT x FROM (SELECT k, x FROM a ORDER BY k LIMIT 5) d WHERE x = 7;
-- a: k |
SELECT v FROM (SELECT 'a' AS t, k AS v FROM a UNION ALL SELECT 'b', y FROM b) d WHERE t = 'a';
-- a: k | k = 3
-- b: y | y = 3
SELECT v FROM (SELECT k AS v, x FROM a UNION ALL SELECT y, k FROM b) d WHERE v = 3;
-- a: k x |
-- b: k |
SELECT x FROM a WHERE EXISTS (SELECT * FROM b WHERE b.k = a.k);
-- a: k x |
-- b: k y | y = 1
SELECT x FROM a WHERE k IN (SELECT k FROM b WHERE y = 1);
-- a: x |
SELECT d.x FROM (SELECT k, x, (SELECT max(y) FROM b) AS m FROM a) d;
SELECT x FROM a WHERE 1 = 0;
SELECT count(*) AS n FROM a WHERE x = 1 AND 's' = 'c';
SELECT 1 AS one;
-- days: day n | day = 20454
SELECT n FROM days WHERE day = '2026-01-01';
-- a: k s x |
SELECT * FROM a;
-- a: k s x |
SELECT * FROM a TABLESAMPLE (10 PERCENT) WHERE x = 1;
-- a: s | s >= 'ab' and s < 'ac'
SELECT s FROM a WHERE s LIKE 'ab%';
-- a: k x | k = 1 or x = 2
SELECT x FROM a WHERE k = 1 OR x = 2;
-- a: k x |
-- b: k y |
SELECT a.x FROM a JOIN b ON a.k = b.k WHERE a.x = 1 OR b.y = 2;
-- a: k x | x = 1 or x = 2
-- b: k y | y = 2 or y = 1
SELECT a.x FROM a JOIN b ON a.k = b.k WHERE (a.x = 1 AND b.y = 2) OR (a.x = 2 AND b.y = 1);
-- a: k |
-- a: k |
WITH RECURSIVE r (n) AS (SELECT k FROM a UNION ALL SELECT r.n + 1 FROM r JOIN a ON a.k = r.n WHERE r.n < 3) SELECT n FROM r WHERE n = 5;
