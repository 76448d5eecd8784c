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
from typing import Protocol

from jobs.engines.class_archive import ClassArchive
from jobs.engines.java import FLAGS, Java, find_java, spark_jars

MIB = 1 << 20
LOGGING = Path(__file__).with_name("log4j2.properties")
SUBMIT = "org.apache.spark.deploy.SparkSubmit"
QUICK = ("-XX:TieredStopAtLevel=1",)  #: half the processor time of a start, a third of it less


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
    properties: Sequence[str] = ()  #: of the JVM, as ``-Dname=value``
    logging: Path | None = None  #: None: the engines' own
    #: compiled quickly, as ``quick_compiler``: its executors have the long computations
    coordinates: bool = False


class Spark(Protocol):
    """Spark as it is installed where drivers run."""

    @property
    def recorded(self) -> bool:
        """Whether drivers start with an archive of loaded classes."""

    @property
    def reaches_s3(self) -> bool:
        """Whether it has the connector for S3."""

    def command(self, driver: Driver) -> tuple[str, ...]:
        """The command line of ``driver``. Its folders are not made. Raises ``EngineStartError``."""


class SparkInstall:
    """Of this machine. ``java_home`` None: the Java that comes with this service; it is looked for
    when first asked.

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

    @property
    def recorded(self) -> bool:
        return self.archive.ready

    @property
    def reaches_s3(self) -> bool:
        return any(jar.name.startswith("hadoop-aws") for jar in self.jars)

    def command(self, driver: Driver) -> tuple[str, ...]:
        return (
            *driver.priority,
            str(self.java.program),
            *("-cp", ":".join(map(str, self.jars))),
            f"-Xmx{driver.heap_bytes // MIB}m",
            *(driver.flags or self.archive.flags()),
            *FLAGS,
            *(QUICK if self._quick_compiler or driver.coordinates else ()),
            *driver.properties,
            f"-Djava.io.tmpdir={driver.directory}",
            f"-Dlog4j2.configurationFile=file:{driver.logging or LOGGING}",
            SUBMIT,
            *submitted(driver),
        )


def submitted(driver: Driver) -> tuple[str, ...]:
    """The arguments of ``spark-submit`` itself."""
    return (
        *(part for key, value in driver.confs.items() for part in ("--conf", f"{key}={value}")),
        *("--master", driver.master),
        *driver.options,
        *driver.application,
    )


def driver_environment(directory: Path, *, pods: bool = False) -> dict[str, str]:
    """The whole environment of a driver whose own folder is ``directory``.

    ``pods``: it runs in one, and listens where the others reach it.
    """
    environment = {
        "PATH": os.defpath,
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",  # or Java cannot name a file outside ASCII
        "SPARK_CONF_DIR": str(directory),
        "SPARK_ENV_LOADED": "1",
        "SPARK_USER": "dli",
        "TZ": "UTC",
    }
    return environment if pods else {**environment, "SPARK_LOCAL_IP": "127.0.0.1"}
