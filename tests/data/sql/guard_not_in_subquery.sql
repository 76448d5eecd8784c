-- Cases of the guard rule not_in_subquery: what it finds in the statement below, or nothing.
-- finds: NOT IN (SELECT
SELECT x FROM a WHERE k NOT IN (SELECT k FROM b);
-- finds: NOT IN (SELECT
SELECT x FROM a WHERE NOT (k IN (SELECT k FROM b));
-- nothing
SELECT x FROM a WHERE k IN (SELECT k FROM b);
-- nothing
SELECT x FROM a WHERE k NOT IN (1, 2);
-- nothing
SELECT x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k);
