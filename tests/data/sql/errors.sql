-- unknown word at the start
SELEC 1
=>
sql_syntax 1:7 did you mean SELECT?

-- unknown word later
SELECT id FROM orders WHER id = 1
=>
sql_syntax 1:28 did you mean WHERE?

-- text just ends
SELECT id FROM
=>
sql_syntax 1:15

-- bracket is not closed
SELECT (1
=>
sql_syntax 1:10

-- string is not closed
SELECT
  'abc
=>
sql_syntax 2:3

-- comment is not closed
SELECT 1 /* a /* b */
=>
sql_syntax 1:10

-- no statement at all
 -- nothing
=>
empty_statement 1:1

-- several statements
SELECT 1;
SELECT 2
=>
several_statements 2:1

-- expression alone
1 + 1
=>
sql_syntax 1:1 put SELECT in front of it

-- nothing selected
SELECT , FROM orders
=>
sql_syntax -

-- unknown table
SELECT 1 FROM ordres
=>
table_not_found 1:15 did you mean sales.orders?

-- unknown database
SELECT 1
FROM sale.orders
=>
database_not_found 2:6 did you mean sales?

-- unknown column
SELECT custmer FROM orders
=>
column_not_found 1:8 did you mean customer?

-- unknown column of an alias
SELECT o.custmer
FROM orders o
=>
column_not_found 1:10 did you mean customer?

-- unknown column in WHERE
SELECT id FROM orders
 WHERE dya > '2026-01-01'
=>
column_not_found 2:8 did you mean day?

-- unknown alias
SELECT p.id FROM orders o
=>
column_not_found 1:10 *

-- column of two tables
SELECT id FROM orders, customers
=>
ambiguous_column 1:8 write customers.id

-- unknown function
SELECT conut(id) FROM orders
=>
function_not_found 1:8 did you mean count?

-- table function that reads files
SELECT * FROM read_csv('/etc/passwd')
=>
function_not_found *

-- file by its path
SELECT * FROM parquet.`/etc/passwd`
=>
guard_refused 1:15 *

-- file by its path, another way
SELECT * FROM default.`s3://bucket/x`
=>
guard_refused 1:15 *

-- name of three parts
SELECT * FROM a.b.c
=>
unsupported_statement - write database.table

-- time travel
SELECT * FROM orders VERSION AS OF 1
=>
unsupported_statement -

-- function of another system, which would become a cast
SELECT truncate(id, 1) FROM orders
=>
function_not_found 1:8

-- name of the parser's own, which would become a call of its argument
SELECT anonymous_agg_func('java_method', 'a', 'b') AS x
=>
function_not_found 1:8

-- the same in back quotes
SELECT `combined_agg_func`('java_method', 'a', 'b') AS x
=>
function_not_found 1:8

-- transform by a program
SELECT TRANSFORM(id) USING 'cat' FROM orders
=>
unsupported_statement -

-- time of day, which would become a moment of today
SELECT TIME '10:00:00' AS t
=>
unsupported_statement - keep such values as strings

-- a type of other systems
SELECT CAST(customer AS json) FROM orders
=>
unsupported_statement - keep such values as strings

-- column beside an aggregate
SELECT count(*) AS n, upper(o.customer) AS c FROM orders o
=>
column_not_grouped 1:29 write GROUP BY customer, or any_value(customer)

-- the same within a subquery
SELECT id FROM orders WHERE total > (SELECT id + max(total) FROM orders)
=>
column_not_grouped 1:45 write GROUP BY id, or any_value(id)

-- condition that is no condition
SELECT id FROM orders WHERE customer
=>
type_mismatch 1:29

-- unequal branches
SELECT 1, 2 UNION SELECT 1
=>
column_count -

-- merge
MERGE INTO customers USING orders ON true WHEN MATCHED THEN DELETE
=>
unsupported_statement *

-- set
SET spark.sql.ansi.enabled = false
=>
unsupported_statement *

-- use
USE sales
=>
unsupported_statement *

-- add jar
ADD JAR '/tmp/x.jar'
=>
unsupported_statement -

-- script
BEGIN SELECT 1 END
=>
unsupported_statement *

-- truncate
TRUNCATE TABLE customers
=>
unsupported_statement *

-- function of one's own
CREATE FUNCTION f AS 'x'
=>
unsupported_statement -

-- temporary view
CREATE TEMPORARY VIEW v AS SELECT 1 AS a
=>
unsupported_statement *

-- insert into a view
INSERT INTO big SELECT 1, 2
=>
not_a_table -

-- insert into an external table
INSERT INTO orders SELECT * FROM orders
=>
not_a_table *

-- insert into a partition
INSERT INTO customers PARTITION (id = 1) SELECT 'x'
=>
unsupported_statement *

-- insert of too few columns
INSERT INTO customers SELECT 1
=>
column_count *

-- insert of an unknown column
INSERT INTO customers (id, nam) VALUES (1, 'x')
=>
column_not_found 1:28 did you mean name?

-- insert of a text into a number
INSERT INTO customers SELECT 'x', 'y'
=>
type_mismatch *

-- insert of a text into a number, second row
INSERT INTO customers VALUES (1, 'y'), ('2', 'z')
=>
type_mismatch *

-- insert without a column that must be
INSERT INTO ledger (customer) VALUES ('x')
=>
column_count -

-- explain of what computes nothing
EXPLAIN DROP TABLE customers
=>
unsupported_statement *

-- explain analyze
EXPLAIN ANALYZE SELECT 1
=>
unsupported_statement -

-- create what is there
CREATE TABLE customers AS SELECT 1 AS a
=>
table_already_there *

-- create with the same column twice
CREATE TABLE fresh AS SELECT id, id FROM orders
=>
sql_error *

-- view over itself
CREATE OR REPLACE VIEW big AS SELECT * FROM big
=>
sql_error -

-- show what there is not
SHOW LOCKS orders
=>
unsupported_statement *

-- variable
SELECT ${x}
=>
unsupported_statement -
