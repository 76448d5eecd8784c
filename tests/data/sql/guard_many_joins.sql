-- Cases of the guard rule many_joins: what it finds in the statement below, or nothing.
-- limits: joins=2
-- finds: 3 joins, more than 2
SELECT p.x FROM a p JOIN a q ON p.k = q.k JOIN a r ON p.k = r.k JOIN a t ON p.k = t.k;
-- finds: 3 joins, more than 2
WITH w AS (SELECT p.k FROM a p JOIN b q ON p.k = q.k) SELECT u.k FROM w u JOIN w v ON u.k = v.k;
-- nothing
SELECT p.x FROM a p JOIN a q ON p.k = q.k JOIN a r ON p.k = r.k;
