"""Uses only DataFrames and SQL, so it may run on a warm engine: `--connect`."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
parts = spark.range(1_000_000).selectExpr("id % 3 AS part").groupBy("part").count()
for row in parts.orderBy("part").collect():
    print(row["part"], row["count"])
