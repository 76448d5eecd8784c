"""Spark as it is installed here: its Java, its jars, its class archive, and how a driver starts.

A driver is started by ``java`` directly, without Spark's own launcher scripts: no shell, no second
JVM, and a class path that is always the same, on which the class archive depends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobs.engines.class_archive import ClassArchive
from jobs.engines.java import FLAGS, Java, find_java, spark_jars

MIB = 1 << 20
LOGGING = Path(__file__).with_name("log4j2.properties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One driver to start. ``application`` is what ``spark-submit`` takes after its options."""

    directory: Path  #: for its temporary files
    heap_bytes: int
    master: str
    confs: Mapping[str, str]
    options: Sequence[str] = ()  #: of ``spark-submit``: ``--class``, ``--jars``, …
    application: Sequence[str]
    priority: Sequence[str] = ()  #: a command in front of Java's
    flags: Sequence[str] = ()  #: of the JVM, instead of those for the archive
    logging: Path = LOGGING


class SparkInstall:
    """``java_home`` None: the Java that comes with this service. Finds Java when first asked.

    ``quick_compiler``: drivers start in two thirds of the time, but run long computations up to
    three times as long.
    """

    def __init__(
        self, *, cache: Path, java_home: Path | None = None, quick_compiler: bool = False
    ) -> None:
        self._cache = cache
        self._java_home = java_home
        self._quick_compiler = quick_compiler

    @cached_property
    def java(self) -> Java:
        """Raises ``EngineStartError``, as all below do."""
        return find_java(self._java_home)

    @cached_property
    def jars(self) -> tuple[Path, ...]:
        """Spark's own, in the order of the class path."""
        return spark_jars()

    @cached_property
    def archive(self) -> ClassArchive:
        """What makes starts faster, once it is recorded."""
        return ClassArchive(self._cache, self.java, self.jars)

    def command(self, driver: Driver) -> tuple[str, ...]:
        """The command line of ``driver``. Its folders are not made."""
        return (
            *driver.priority,
            str(self.java.program),
            *("-cp", ":".join(map(str, self.jars))),
            f"-Xmx{driver.heap_bytes // MIB}m",
            *(driver.flags or self.archive.flags()),
            *FLAGS,
            *(("-XX:TieredStopAtLevel=1",) if self._quick_compiler else ()),
            f"-Djava.io.tmpdir={driver.directory}",
            f"-Dlog4j2.configurationFile=file:{driver.logging}",
            "org.apache.spark.deploy.SparkSubmit",
            *(part for key, value in driver.confs.items() for part in ("--conf", f"{key}={value}")),
            *("--master", driver.master),
            *driver.options,
            *driver.application,
        )


def driver_environment(directory: Path) -> dict[str, str]:
    """The whole environment of a driver whose own folder is ``directory``."""
    return {
        "PATH": os.defpath,
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",  # or Java cannot name a file outside ASCII
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(directory),
        "SPARK_ENV_LOADED": "1",
        "SPARK_USER": "dli",
        "TZ": "UTC",
    }
