-- table becomes one quoted name with its own name as alias
SELECT id FROM orders
=>
SELECT id FROM `sales.orders` AS `orders`

-- another database
SELECT id FROM web.orders
=>
SELECT id FROM `web.orders` AS `orders`

-- alias stays
SELECT o.id FROM Sales.Orders o
=>
SELECT o.id FROM `sales.orders` AS o

-- column with a database
SELECT sales.orders.id FROM sales.orders
=>
SELECT orders.id FROM `sales.orders` AS `orders`

-- struct field is no database
SELECT orders.address.city FROM orders
=>
SELECT orders.address.city FROM `sales.orders` AS `orders`

-- unnamed columns take their source text
SELECT count( 1 ),   total*2, id FROM orders GROUP BY ALL
=>
SELECT COUNT(1) AS `count( 1 )`, total * 2 AS `total*2`, id FROM `sales.orders` AS `orders` GROUP BY ALL

-- distinct from is no FROM
SELECT id IS NOT DISTINCT FROM 1, id FROM orders
=>
SELECT id IS NOT DISTINCT FROM 1 AS `id IS NOT DISTINCT FROM 1`, id FROM `sales.orders` AS `orders`

-- only the first branch names the columns
SELECT 1 UNION ALL SELECT 2
=>
SELECT 1 AS `1` UNION ALL SELECT 2

-- columns of a CTE are named, too
WITH a AS (SELECT count(1) FROM orders) SELECT * FROM a
=>
WITH a AS (SELECT COUNT(1) AS `count(1)` FROM `sales.orders` AS `orders`) SELECT * FROM a

-- CTE hides a table of the same name
WITH orders AS (SELECT 1 AS id) SELECT id FROM orders
=>
WITH orders AS (SELECT 1 AS id) SELECT id FROM orders

-- CTE reads the table of its own name
WITH orders AS (SELECT id FROM orders) SELECT id FROM orders
=>
WITH orders AS (SELECT id FROM `sales.orders` AS `orders`) SELECT id FROM orders

-- view becomes its query
SELECT id FROM big
=>
SELECT id FROM (SELECT id, total FROM `sales.orders` AS `orders` WHERE total > 100) AS `big`

-- view over a view, with names of its own
SELECT n FROM bigger b
=>
SELECT n FROM (SELECT * FROM (WITH b AS (SELECT * FROM (SELECT id, total FROM `sales.orders` AS `orders` WHERE total > 100) AS `big`) SELECT id AS key, COUNT(1) FROM b GROUP BY id) AS `_view`(`key`, `n`)) AS b

-- quotes in strings are escaped with a backslash
SELECT 'it''s', "a""b", r'\d' AS r, 'a' 'b' AS c
=>
SELECT 'it\'s' AS `it's`, 'a"b' AS `a"b`, '\\d' AS r, CONCAT('a', 'b') AS c

-- comments and hints are gone
SELECT /*+ BROADCAST(o) */ id /* secret */ FROM orders o -- more
=>
SELECT id FROM `sales.orders` AS o

-- nothing of the engine's environment
SELECT '${env:HOME}' AS a
=>
SELECT '$\{env:HOME}' AS a

-- calls as they were written
SELECT to_char(max(id), '999') AS a, percentile_cont(0.5) WITHIN GROUP (ORDER BY total) AS b, max_by(id, total, 3) AS c FROM orders
=>
SELECT TO_CHAR(MAX(id), '999') AS a, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY total) AS b, MAX_BY(id, total, 3) AS c FROM `sales.orders` AS `orders`

-- generator names its own columns
SELECT explode(tags) FROM orders
=>
SELECT EXPLODE(tags) FROM `sales.orders` AS `orders`

-- lateral view
SELECT id, tag FROM orders LATERAL VIEW explode(tags) t AS tag
=>
SELECT id, tag FROM `sales.orders` AS `orders` LATERAL VIEW EXPLODE(tags) t AS tag

-- table function
SELECT id FROM range(10)
=>
SELECT id FROM RANGE(10)

-- values
VALUES (1, 'a'), (2, 'b')
=>
SELECT * FROM VALUES (1, 'a'), (2, 'b') AS _values(col1, col2)

-- insert casts to the target
INSERT INTO customers SELECT id, customer FROM orders
=>
SELECT CAST(`_rows`.`_0` AS BIGINT) AS `id`, CAST(`_rows`.`_1` AS STRING) AS `name` FROM (SELECT id, customer FROM `sales.orders` AS `orders`) AS `_rows`(`_0`, `_1`)

-- insert with a list of columns
INSERT INTO customers (name) VALUES ('x')
=>
SELECT CAST(NULL AS BIGINT) AS `id`, CAST(`_rows`.`_0` AS STRING) AS `name` FROM (SELECT * FROM VALUES ('x') AS _values(col1)) AS `_rows`(`_0`)

-- a new column of nothing but NULL is a string
CREATE TABLE copy AS SELECT id AS `Id`, NULL AS note FROM orders
=>
SELECT `_rows`.`_0` AS `Id`, CAST(`_rows`.`_1` AS STRING) AS `note` FROM (SELECT id AS `Id`, NULL AS note FROM `sales.orders` AS `orders`) AS `_rows`(`_0`, `_1`)

-- insert by name
INSERT INTO customers BY NAME SELECT customer AS name, id FROM orders
=>
SELECT CAST(`_rows`.`_1` AS BIGINT) AS `id`, CAST(`_rows`.`_0` AS STRING) AS `name` FROM (SELECT customer AS name, id FROM `sales.orders` AS `orders`) AS `_rows`(`_0`, `_1`)

-- insert with a CTE before it
WITH c AS (SELECT 1 AS a, 'x' AS b) INSERT INTO customers SELECT * FROM c
=>
SELECT CAST(`_rows`.`_0` AS BIGINT) AS `id`, CAST(`_rows`.`_1` AS STRING) AS `name` FROM (WITH c AS (SELECT 1 AS a, 'x' AS b) SELECT * FROM c) AS `_rows`(`_0`, `_1`)

-- create table as
CREATE TABLE copy AS SELECT id, count(1) AS n FROM orders GROUP BY id
=>
SELECT id, COUNT(1) AS n FROM `sales.orders` AS `orders` GROUP BY id

-- explain is about the query
EXPLAIN EXTENDED SELECT id FROM orders
=>
SELECT id FROM `sales.orders` AS `orders`

-- WITH of a view and of the query may have the same names
WITH b AS (SELECT 1 AS key) SELECT * FROM bigger JOIN b USING (key)
=>
WITH b AS (SELECT 1 AS key) SELECT * FROM (SELECT * FROM (WITH b AS (SELECT * FROM (SELECT id, total FROM `sales.orders` AS `orders` WHERE total > 100) AS `big`) SELECT id AS key, COUNT(1) FROM b GROUP BY id) AS `_view`(`key`, `n`)) AS `bigger` JOIN b USING (key)

-- column of a subquery by the name that Spark gives it
SELECT `count(1)`, s.`upper(x)` FROM (SELECT count(1), upper('x') AS `upper(x)` FROM orders UNION SELECT 1, 'y') s
=>
SELECT `count(1)`, s.`upper(x)` FROM (SELECT COUNT(1) AS `count(1)`, UPPER('x') AS `upper(x)` FROM `sales.orders` AS `orders` UNION SELECT 1, 'y') AS s
