"""Count the words of texts: `dli batch submit word_count.py --follow -- PATH`."""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
lines = spark.read.text(sys.argv[1])
words = lines.selectExpr("explode(split(lower(value), '[^a-z]+')) AS word").where("word <> ''")
for row in words.groupBy("word").count().orderBy("count", "word", ascending=False).take(5):
    print(f"{row['count']:>4} {row['word']}", flush=True)
