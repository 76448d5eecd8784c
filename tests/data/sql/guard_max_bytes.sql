-- Cases of the guard rule max_bytes: what it finds in the statement below, or nothing.
-- limits: max_bytes=1
-- finds: it would process
SELECT x FROM a;
-- nothing
SELECT count(*) AS n FROM a;
-- nothing
SELECT x FROM a WHERE 1 = 0;
