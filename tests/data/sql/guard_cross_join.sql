-- Cases of the guard rule cross_join: what it finds in the statement below, or nothing.
-- finds: a and b are joined without a condition
SELECT a.x, b.y FROM a, b;
-- finds: a and b are joined without a condition
SELECT a.x, b.y FROM a CROSS JOIN b WHERE a.x = 1 AND b.y = 2;
-- finds: p and q are joined without a condition
SELECT count(*) AS n FROM a p JOIN a q;
-- finds: a and d are joined without a condition
SELECT count(*) AS n FROM a JOIN (SELECT y FROM b) d ON 1 = 1;
-- finds: a and b are joined without a condition
SELECT x FROM a WHERE x IN (SELECT a.x FROM a, b);
-- finds: a and b are joined without a condition
WITH w AS (SELECT a.x FROM a, b) SELECT x FROM w;
-- finds: a and c are joined without a condition
SELECT a.x FROM a JOIN b ON a.k = b.k, days c;
-- nothing
SELECT a.x FROM a, b WHERE a.k = b.k;
-- nothing
SELECT a.x FROM a JOIN b USING (k);
-- nothing
SELECT a.x FROM a NATURAL JOIN b;
-- nothing
SELECT a.x FROM a, b WHERE (a.k = b.k AND a.x = 1) OR (a.k = b.k AND b.y = 2);
-- nothing
SELECT a.x FROM a, b, days d WHERE a.k = b.k AND b.y = d.n;
-- nothing: one row each
SELECT p.n, q.n FROM (SELECT count(*) AS n FROM a) p, (SELECT count(*) AS n FROM b) q;
-- nothing: one row
SELECT a.x / t.total AS share FROM a CROSS JOIN (SELECT sum(x) AS total FROM a) t;
-- nothing
SELECT a.x, e FROM a LATERAL VIEW explode(array(1, 2)) v AS e;
-- nothing
SELECT a.x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k);
-- nothing: related, though not by an equality
SELECT a.x FROM a JOIN b ON a.x < b.y;
