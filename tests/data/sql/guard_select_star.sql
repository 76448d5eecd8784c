-- Cases of the guard rule select_star: what it finds in the statement below, or nothing.
-- finds: * reads all 3 columns of default.a
SELECT * FROM a;
-- finds: * reads all 3 columns of default.a
SELECT a.*, b.y FROM a JOIN b ON a.k = b.k;
-- finds: * reads all 2 columns of default.b
SELECT k, y FROM b UNION ALL (SELECT * FROM b LIMIT 3);
-- nothing
SELECT x FROM a WHERE EXISTS (SELECT * FROM b WHERE b.k = a.k);
-- nothing
SELECT * FROM (SELECT x FROM a) d;
-- nothing
WITH w AS (SELECT * FROM a) SELECT x FROM w;
-- nothing
SELECT count(*) AS n FROM a;
-- nothing
SELECT b.*, d.x FROM (SELECT k, x FROM a) d JOIN (SELECT k FROM b) b ON d.k = b.k;
-- nothing
INSERT INTO b SELECT * FROM b;
