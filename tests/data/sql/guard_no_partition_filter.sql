-- Cases of the guard rule no_partition_filter: what it finds in the statement below, or nothing.
-- finds: all 3 partitions of default.days are read
SELECT n FROM days;
-- finds: all 3 partitions of default.days are read
SELECT n FROM days WHERE day >= DATE '2020-01-01';
-- finds: all 3 partitions of default.days are read
SELECT n FROM days WHERE day = DATE '2026-01-01' OR n > 5;
-- finds: all 3 partitions of default.days are read
SELECT n FROM days WHERE year(day) = 2026;
-- nothing
SELECT n FROM days WHERE day = DATE '2026-01-02';
-- nothing
SELECT n FROM days WHERE day = '2026-01-02';
-- nothing
WITH w AS (SELECT day, sum(n) AS m FROM days GROUP BY day) SELECT m FROM w WHERE day < DATE '2026-01-02';
-- nothing
SELECT v FROM (SELECT day, n AS v FROM days UNION ALL SELECT day, -n FROM days) d WHERE day = DATE '2026-01-03';
-- nothing: no columns, no bytes
SELECT count(*) AS n FROM days;
-- nothing
SELECT x FROM a;
