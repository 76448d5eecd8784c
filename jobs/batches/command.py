"""What is launched for a batch: command line, configuration, environment. Pure.

The folder of a run::

    work/      the program and its files, and the working directory
    lib/       ours: dli_batch.py, run_sql.py, log4j2.properties, statements.json, tables.json
    events/    Spark's event log
    scratch/   shuffles, spills, temporary files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from jobs.batches.sizes import heap_bytes
from jobs.engines.spark_install import Driver, driver_environment
from jobs.lifecycle.spec import BatchLanguage, BatchSpec, FileRef, Size

LOGGING = Path(__file__).with_name("log4j2.properties")
PROGRAMS = Path(__file__).with_name("programs")
TABLES_MODULE, SQL_PROGRAM = "dli_batch.py", "run_sql.py"
STATEMENTS, TABLES = "statements.json", "tables.json"

_MIB = 1 << 20
_PARTITIONS_PER_CORE = 4


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things of one run lie."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def lib(self) -> Path:
        return self.root / "lib"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    def make(self) -> None:
        """Make them all; twice is the same as once."""
        for folder in (self.work, self.lib, self.events, self.scratch):
            folder.mkdir(exist_ok=True, mode=0o700)


def driver_of(
    spec: BatchSpec,
    size: Size,
    folders: Folders,
    *,
    python: Path,
    placed: Mapping[str, str] = MappingProxyType({}),
    master: str | None = None,
) -> Driver:
    """The driver of a batch that has one of its own, of this ``size``.

    ``placed`` are confs of where it runs; ``master`` None: it computes itself.
    """
    heap = heap_bytes(size, spec.language)
    cores = size.cores
    if master is not None and spec.executor is not None:
        cores = spec.executor.cores * spec.executors
    own = confs_of(spec, cores, folders, heap=heap, python=python)
    return Driver(
        directory=folders.scratch,
        heap_bytes=heap,
        master=master or f"local[{size.cores}]",
        confs={**own, **placed},
        options=_options(spec, folders),
        application=_application(spec, folders),
        logging=folders.lib / LOGGING.name,
        coordinates=master is not None,
    )


def confs_of(
    spec: BatchSpec, cores: int, folders: Folders, *, heap: int, python: Path
) -> dict[str, str]:
    """Defaults, what the batch says, and last what is the service's to say.

    ``cores`` compute, wherever they are; ``heap`` is the driver's, in bytes.
    """
    defaults = {
        "spark.driver.maxResultSize": f"{heap // 4 // _MIB}m",
        "spark.sql.shuffle.partitions": str(cores * _PARTITIONS_PER_CORE),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.pyspark.jvmStacktrace.enabled": "false",
    }
    service = {
        "spark.app.name": spec.name,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folders.events}",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",  # it is read as it is, and compressed when it is kept
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",  # no .crc files
        "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",  # counts bytes wrongly
        "spark.local.dir": str(folders.scratch),
        "spark.pyspark.driver.python": str(python),
        "spark.pyspark.python": str(python),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folders.scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    return {**defaults, **spec.conf, **service}


def environment_of(spec: BatchSpec, folders: Folders, *, pods: bool = False) -> dict[str, str]:
    """The whole environment of the program, but for how it reaches buckets."""
    environment = {
        **spec.environment,
        **driver_environment(folders.scratch, pods=pods),
        "HOME": str(folders.work),
        "PYTHONUNBUFFERED": "1",
    }
    if spec.tables:
        environment["DLI_TABLES"] = str(folders.lib / TABLES)
    return environment


def client_command(spec: BatchSpec, folders: Folders, *, python: Path) -> tuple[str, ...]:
    """The command line of a batch that is a client of an engine."""
    return (str(python), *_application(spec, folders))


def client_environment(spec: BatchSpec, folders: Folders, *, remote: str) -> dict[str, str]:
    """The whole environment of a client of the engine at ``remote``.

    Its tables are views of its session already.
    """
    kept = ("PATH", "LC_ALL", "TZ")
    driver = driver_environment(folders.scratch)
    libraries = [folders.lib, *(folders.work / ref.name for ref in _archives(spec))]
    return {
        **spec.environment,
        **{name: driver[name] for name in kept},
        "HOME": str(folders.work),
        "PYTHONPATH": ":".join(map(str, libraries)),
        "PYTHONUNBUFFERED": "1",
        "SPARK_REMOTE": remote,
        "TMPDIR": str(folders.scratch),
    }


def _options(spec: BatchSpec, folders: Folders) -> tuple[str, ...]:
    def listed(option: str, paths: Sequence[Path]) -> tuple[str, ...]:
        return (option, ",".join(map(str, paths))) if paths else ()

    python = spec.language is not BatchLanguage.JAR
    ours = [folders.lib / TABLES_MODULE] if python else []
    return (
        *listed("--py-files", [*ours, *_paths(folders, spec.py_files)] if python else []),
        *listed("--jars", _paths(folders, spec.jars)),
        *listed("--files", _paths(folders, spec.files)),
        *(("--class", spec.main_class) if spec.main_class else ()),
    )


def _application(spec: BatchSpec, folders: Folders) -> tuple[str, ...]:
    if spec.language is BatchLanguage.SQL:
        program = (str(folders.lib / SQL_PROGRAM), str(folders.lib / STATEMENTS))
        return (*program, *spec.arguments)
    return (str(folders.work / spec.program.name), *spec.arguments)


def _archives(spec: BatchSpec) -> list[FileRef]:
    """What Python does not find in the working directory by itself."""
    return [ref for ref in spec.py_files if not ref.name.endswith(".py")]


def _paths(folders: Folders, refs: Sequence[FileRef]) -> list[Path]:
    return [folders.work / ref.name for ref in refs]
