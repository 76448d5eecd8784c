-- Cases of the guard rule reaches_outside: what it finds in the statement below, or nothing.
-- finds: java_method reaches outside
SELECT java_method('java.lang.System', 'getenv') AS e;
-- finds: reflect reaches outside
SELECT x FROM a WHERE reflect('java.util.UUID', 'randomUUID') = 'b';
-- finds: try_reflect reaches outside
WITH w AS (SELECT try_reflect('java.lang.System', 'getProperty', 'user.home') AS h) SELECT h FROM w;
-- finds: java_method reaches outside
SELECT v FROM with_java;
-- finds: reflect reaches outside
INSERT INTO a SELECT 1, REFLECT('java.lang.Math', 'abs', 1), 's';
-- nothing
SELECT reverse(s) AS r, upper(s) AS u FROM a;
-- nothing
SELECT s AS reflect FROM a WHERE s = 'java_method(x)';
