"""The configuration of a Spark engine, whatever it runs on. Pure."""

from __future__ import annotations

from jobs.engines.api import EngineNeed

_MIB = 1 << 20

#: Statements take turns; by default the tasks of the first would all run before the second's.
POOLS = """<?xml version="1.0"?>
<allocations>
  <pool name="default">
    <schedulingMode>FAIR</schedulingMode><weight>1</weight><minShare>0</minShare>
  </pool>
</allocations>
"""
#: A document that xpath() reads could name a file or an address, which Java would fetch.
PROPERTIES = ("-Djavax.xml.accessExternalDTD=", "-Djavax.xml.accessExternalSchema=")
CONFS = {
    "spark.executor.extraJavaOptions": " ".join(PROPERTIES),
    "spark.connect.progress.reportInterval": "-1",
    "spark.connect.session.manager.defaultSessionTimeout": "7d",  # it ends with its statement
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",  # no .crc files
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",  # counts bytes wrongly
    "spark.scheduler.mode": "FAIR",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.connect.enrichError.enabled": "false",
    "spark.sql.connect.serverStacktrace.enabled": "false",
    "spark.sql.files.maxPartitionBytes": "16m",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.sql.variable.substitute": "false",  # ${env:…} in a text would show our environment
    "spark.sql.ui.retainedExecutions": "50",
    "spark.ui.enabled": "true",  # for ``spark_jobs``
    "spark.ui.retainedJobs": "200",
    "spark.ui.retainedStages": "200",
    "spark.ui.retainedTasks": "2000",
    "spark.ui.showConsoleProgress": "false",
}


def sized(need: EngineNeed, heap: int, *, tasks: int) -> dict[str, str]:
    """By what it may use: ``heap`` is bytes, ``tasks`` how many may run at the same time."""
    return {
        "spark.driver.maxResultSize": f"{heap // 8 // _MIB}m",
        "spark.local.dir": str(need.directory),
        "spark.sql.shuffle.partitions": str(tasks * 4),
        "spark.sql.warehouse.dir": str(need.directory / "warehouse"),
    }
