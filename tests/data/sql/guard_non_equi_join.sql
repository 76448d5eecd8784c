-- Cases of the guard rule non_equi_join: what it finds in the statement below, or nothing.
-- finds: a and b are joined, but not by an equality
SELECT a.x FROM a JOIN b ON a.x < b.y;
-- finds: a and b are joined, but not by an equality
SELECT a.x FROM a, b WHERE a.x BETWEEN b.y AND b.k;
-- finds: a and b are joined, but not by an equality
SELECT a.x FROM a JOIN b ON a.k = b.k OR a.x = b.y;
-- finds: p and q are joined, but not by an equality
SELECT p.x FROM a p JOIN a q ON p.s LIKE concat(q.s, '%');
-- finds: a and b are joined, but not by an equality
SELECT a.x FROM a LEFT JOIN b ON a.x <> b.y;
-- nothing
SELECT a.x FROM a JOIN b ON a.k = b.k AND a.x < b.y;
-- nothing
SELECT a.x FROM a JOIN b ON a.k + 1 = b.k;
-- nothing
SELECT a.x FROM a, b;
-- nothing: one row
SELECT a.x FROM a JOIN (SELECT avg(y) AS m FROM b) t ON a.x > t.m;
