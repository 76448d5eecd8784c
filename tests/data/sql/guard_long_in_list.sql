-- Cases of the guard rule long_in_list: what it finds in the statement below, or nothing.
-- limits: in_list=3
-- finds: IN with 4 values, more than 3
SELECT x FROM a WHERE k IN (1, 2, 3, 4);
-- nothing
SELECT x FROM a WHERE k IN (1, 2, 3) OR x IN (4, 5, 6);
