"""How long a small PySpark program takes to its first line, beside what ``spark-submit`` starts.

The service's class archive is recorded before, as it is after the first batch or Spark engine of an
installation; the driver beside it starts without one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.measuring import Context, Row
from benchmarks.service import pause, running_service
from dli.client import Client
from jobs.engines.spark_install import Driver, SparkInstall, driver_environment

_PROGRAM = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.range(10).count(), flush=True)
"""
_ARCHIVE_SECONDS = 600
_GIB = 1 << 30


def run(context: Context) -> Iterator[Row]:
    """First lines of batches, with all that is around them, and of bare drivers."""
    program = context.folder / "first_line.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    times = 3 if context.quick else 7
    home = context.home("batch-start")
    cache = Path.home() / ".cache" / "dli"
    environment = {"DLI_ENGINE_CACHE": str(cache)}
    with running_service(home, environment=environment) as service, service.client() as client:
        _await_archive(client, program, cache)
        batches: list[tuple[float, float]] = []
        plain: list[float] = []
        clients: list[float] = []
        _batch(client, program, session="connect")  # starts the engine
        for _ in range(times):  # in turns, so that all meet the same machine
            batches.append(_batch(client, program))
            plain.append(_first_line(*_plain(program, context.folder)))
            clients.append(_batch(client, program, session="connect")[0])
    baseline = statistics.median(plain)
    first = statistics.median(each[0] for each in batches)
    yield Row(
        name="Spark batch: submit to its first line",
        value=first,
        unit="s",
        baseline=baseline,
        beside="a plain driver",
        aim="less",
        met=first < baseline,
    )
    yield Row(
        name="Spark batch: submit to its driver's start",
        value=statistics.median(each[1] for each in batches),
        unit="s",
    )
    yield Row(
        name="Spark batch on a warm engine: submit to its first line",
        value=statistics.median(clients),
        unit="s",
        baseline=baseline,
        beside="a plain driver",
    )


def _batch(client: Client, program: Path, *, session: str = "own") -> tuple[float, float]:
    """Seconds from the submit to the first line, and to the start of the process."""
    began = time.perf_counter()
    job = client.submit_batch(program, size="small", session=session)
    with client.log(job["id"], follow=True) as pieces:
        next(iter(pieces))
        first = time.perf_counter() - began
    ended = client.wait_job(client.job(job["id"]))
    assert ended["state"] == "finished", ended["error"]
    started, created = (
        datetime.fromisoformat(ended[name]) for name in ("started_at", "created_at")
    )
    return first, (started - created).total_seconds()


def _await_archive(client: Client, program: Path, cache: Path) -> None:
    """A first batch has it recorded where there is none."""
    archive = SparkInstall(cache=cache).archive
    _batch(client, program)
    until = time.monotonic() + _ARCHIVE_SECONDS
    while not archive.ready:
        if time.monotonic() > until:
            raise RuntimeError("the class archive was not recorded")
        pause(1)


def _plain(program: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
    """The JVM that ``spark-submit`` would start, without its script.

    The script itself needs a Java with all modules, and adds 0.2 s.
    """
    driver = Driver(
        directory=folder,
        heap_bytes=_GIB * 26 // 10,
        master="local[1]",
        confs={"spark.log.level": "INFO"},
        application=(str(program),),
        flags=("-Xshare:auto",),
    )
    environment = driver_environment(folder) | {"PYSPARK_PYTHON": sys.executable}
    return SparkInstall(cache=folder).command(driver), environment


def _first_line(command: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds from the start of a process to its first line on standard output."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        first = time.perf_counter() - began
        process.stdout.read()
    assert line.strip() == b"10", line
    return first
