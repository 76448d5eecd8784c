"""Spark as it is installed in the image: with an archive of its classes, and with S3.

Class path, options of the JVM and the archive are in the image's own argument files, which
``image/record.py`` writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.engines.spark_install import MIB, QUICK, SUBMIT, Driver, submitted

JAVA = "/opt/java/bin/java"
ARGUMENTS = "/opt/spark-classes/driver.args"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpark:
    """``quick_compiler`` as in ``SparkInstall``."""

    quick_compiler: bool = False
    recorded: bool = True
    reaches_s3: bool = True

    def command(self, driver: Driver) -> tuple[str, ...]:
        """The command line of ``driver``, in a container of the image."""
        logging = driver.logging
        return (
            *driver.priority,
            JAVA,
            f"@{ARGUMENTS}",
            f"-Xmx{driver.heap_bytes // MIB}m",
            *(QUICK if self.quick_compiler or driver.coordinates else ()),
            *driver.properties,
            f"-Djava.io.tmpdir={driver.directory}",
            *(() if logging is None else (f"-Dlog4j2.configurationFile=file:{logging}",)),
            SUBMIT,
            *submitted(driver),
        )
