-- Shapes of queries, one a line. {a.x b.y} is a place for a random condition on these columns of
-- a (k, x), b (k, y) and c (k, z).
SELECT a.k, a.x FROM a WHERE {a.k a.x}
SELECT a.x, b.y FROM a JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x b.y}
SELECT a.x, b.y FROM a, b WHERE a.k = b.k AND {a.x b.y} AND {b.y}
SELECT a.x, b.y FROM a LEFT JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x b.y}
SELECT a.x, b.y FROM a LEFT JOIN b ON a.k = b.k AND {b.y} WHERE {b.y} AND {a.x}
SELECT a.x, b.y FROM a RIGHT JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x b.y} AND {a.x}
SELECT a.x, b.y FROM a FULL JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x b.y} AND {b.y}
SELECT a.x, b.y, c.z FROM a LEFT JOIN b ON a.k = b.k JOIN c ON c.k = a.k AND {b.y c.z} WHERE {b.y}
SELECT a.x, b.y, c.z FROM a JOIN b ON a.k = b.k RIGHT JOIN c ON {b.y c.z} WHERE {b.y}
SELECT a.x, b.y, c.z FROM a LEFT JOIN (b JOIN c ON b.k = c.k AND {c.z}) ON a.k = b.k WHERE {c.z b.y}
SELECT a.x FROM a LEFT SEMI JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x}
SELECT a.x FROM a LEFT ANTI JOIN b ON a.k = b.k AND {a.x b.y} WHERE {a.x}
SELECT a.x FROM a WHERE EXISTS (SELECT * FROM b WHERE b.k = a.k AND {b.y}) AND {a.x}
SELECT a.x FROM a WHERE NOT EXISTS (SELECT b.y FROM b WHERE b.k = a.k AND {b.y a.x}) OR {a.x}
SELECT a.x FROM a WHERE a.k IN (SELECT b.k FROM b WHERE {b.y}) AND {a.x}
SELECT a.x FROM a WHERE a.k NOT IN (SELECT b.k FROM b WHERE {b.y})
SELECT a.x, (SELECT max(b.y) FROM b WHERE b.k = a.k AND {b.y}) AS m FROM a WHERE {a.x}
SELECT d.p FROM (SELECT a.k AS p, b.y AS q FROM a LEFT JOIN b ON a.k = b.k) d WHERE {d.p d.q}
SELECT a.x, d.q FROM a LEFT JOIN (SELECT b.k, b.y AS q FROM b WHERE {b.y}) d ON a.k = d.k WHERE {d.q}
SELECT a.x FROM a FULL JOIN (SELECT b.k, b.y AS q, 1 AS one FROM b) d ON a.k = d.k WHERE {d.q d.one}
SELECT d.p, d.n FROM (SELECT a.k AS p, count(*) AS n FROM a GROUP BY a.k) d WHERE {d.p d.n}
SELECT d.p, d.q, d.n FROM (SELECT k AS p, x AS q, sum(x) AS n FROM a GROUP BY k, x) d WHERE {d.p d.q}
SELECT a.k, max(a.x) AS m FROM a WHERE {a.x} GROUP BY a.k HAVING max(a.x) > 1 OR {a.k}
SELECT a.k, count(*) AS m FROM a GROUP BY ROLLUP (a.k) HAVING {a.k}
SELECT d.k, d.m FROM (SELECT a.k, count(*) AS m FROM a GROUP BY ROLLUP (a.k)) d WHERE {d.k d.m}
SELECT d.m FROM (SELECT max(a.x) AS m, 1 AS one FROM a WHERE {a.k}) d WHERE {d.m d.one}
SELECT count(*) AS n, min(a.x) AS m FROM a JOIN b ON a.k = b.k WHERE {a.x b.y}
SELECT d.x, d.r FROM (SELECT x, sum(x) OVER (PARTITION BY k) AS r, k FROM a) d WHERE {d.k d.x}
SELECT d.k, d.r FROM (SELECT k, x, sum(x) OVER (PARTITION BY k) AS r FROM a) d WHERE {d.k} AND {d.r}
SELECT d.k FROM (SELECT k, sum(x) OVER (PARTITION BY k) AS r, count(*) OVER (PARTITION BY x) AS n FROM a) d WHERE {d.k}
SELECT d.x FROM (SELECT k, x FROM a ORDER BY k, x LIMIT 3) d WHERE {d.x d.k}
SELECT d.x FROM (SELECT k, x FROM a ORDER BY k, x LIMIT 9 OFFSET 2) d WHERE {d.x}
SELECT DISTINCT d.x FROM (SELECT DISTINCT k, x FROM a WHERE {a.x}) d WHERE {d.x d.k}
SELECT d.v FROM (SELECT k AS v FROM a UNION ALL SELECT y AS w FROM b) d WHERE {d.v}
SELECT d.v, d.t FROM (SELECT k AS v, 1 AS t FROM a UNION SELECT y, 2 FROM b) d WHERE {d.v d.t}
SELECT d.v FROM (SELECT k AS v FROM a INTERSECT SELECT y FROM b) d WHERE {d.v}
SELECT d.v FROM (SELECT k AS v FROM a EXCEPT SELECT y FROM b WHERE {b.y}) d WHERE {d.v}
SELECT count(*) AS n FROM (SELECT k AS v, x FROM a EXCEPT SELECT k, y FROM b) d WHERE {d.v}
WITH w AS (SELECT k, x AS v FROM a WHERE {a.k}) SELECT p.v FROM w p JOIN w q ON p.k = q.k WHERE {p.v q.v}
WITH w AS (SELECT k, y FROM b) SELECT a.x, w.y FROM a LEFT JOIN w ON a.k = w.k AND {w.y} WHERE {w.y a.x}
SELECT e.p FROM (SELECT d.p FROM (SELECT k AS p, x FROM a) d WHERE {d.p d.x}) e WHERE {e.p}
SELECT d.f FROM (SELECT a.k > 1 AS f, a.x FROM a) d WHERE d.f AND {d.x}
SELECT d.f FROM (SELECT coalesce(b.y, 0) AS f, a.x FROM a LEFT JOIN b ON a.k = b.k) d WHERE {d.f d.x}
SELECT d.m FROM (SELECT max(x) AS m FROM a WHERE 1 = 0) d FULL JOIN b ON d.m = b.y WHERE {b.y d.m}
SELECT d.m, b.y FROM (SELECT x AS m FROM a WHERE 1 = 0) d FULL JOIN b ON d.m = b.y WHERE {b.y d.m}
SELECT d.m, b.y FROM (SELECT x AS m FROM a WHERE 1 = 0) d RIGHT JOIN b ON d.m = b.y WHERE {b.y}
SELECT a.x FROM a LEFT ANTI JOIN (SELECT k FROM b WHERE 1 = 0) d ON a.k = d.k WHERE {a.x}
SELECT a.x FROM a LEFT JOIN b ON a.k = b.k AND 1 = 0 WHERE {a.x} AND {b.y}
SELECT d.n, d.k FROM (SELECT count(*) AS n, 1 AS k FROM a WHERE 1 = 0) d JOIN b ON b.k = d.k WHERE {b.y d.n}
SELECT d.k, d.m FROM (SELECT k, max(x) AS m FROM a GROUP BY k HAVING {k}) d WHERE {d.m} OR {d.k}
