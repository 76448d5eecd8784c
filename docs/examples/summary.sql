-- Values of :name come from the arguments; a table is a view of its own name.
CREATE TEMPORARY VIEW chosen AS SELECT * FROM orders WHERE part = :part;
SELECT count(*) AS orders, sum(id) AS total FROM chosen;
