-- Cases of the guard rule order_without_limit: what it finds in the statement below, or nothing.
-- finds: ORDER BY without LIMIT
SELECT a.x FROM a JOIN wide ON a.k = wide.k ORDER BY a.x;
-- finds: ORDER BY without LIMIT
SELECT x FROM wide UNION ALL SELECT x FROM a ORDER BY x;
-- nothing
SELECT x FROM wide ORDER BY x LIMIT 10;
-- nothing: few rows
SELECT x FROM a ORDER BY x;
-- nothing
SELECT count(*) AS n FROM wide ORDER BY n;
-- nothing: not the result
SELECT count(*) AS n FROM (SELECT x FROM wide ORDER BY x) d;
