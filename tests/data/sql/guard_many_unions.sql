-- Cases of the guard rule many_unions: what it finds in the statement below, or nothing.
-- limits: unions=2
-- finds: 3 set operations, more than 2
SELECT k FROM a UNION ALL SELECT k FROM b UNION SELECT k FROM a EXCEPT SELECT k FROM b;
-- nothing
SELECT k FROM a UNION ALL SELECT k FROM b UNION SELECT k FROM a;
