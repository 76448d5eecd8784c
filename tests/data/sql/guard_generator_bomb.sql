-- Cases of the guard rule generator_bomb: what it finds in the statement below, or nothing.
-- finds: range is asked for 5000000
SELECT count(*) AS n FROM range(5000000);
-- finds: sequence is asked for 2000000000
SELECT explode(sequence(1, 2000 * 1000000)) AS n;
-- finds: repeat is asked for 1000000000
SELECT repeat('x', 1000000000) AS s;
-- finds: lpad or rpad is asked for 100000000
SELECT lpad(s, 100000000, ' ') AS s FROM a;
-- finds: array_repeat is asked for 10000000
SELECT array_repeat(x, 10000000) AS s FROM a;
-- finds: space is asked for 9000000
SELECT space(9000000) AS s;
-- nothing
SELECT id FROM range(1000);
-- nothing
SELECT repeat('x', 20) AS s, lpad(s, 10, '0') AS t FROM a WHERE x > 5000000;
