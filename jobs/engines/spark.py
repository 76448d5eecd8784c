"""Spark: the reference engine, a Connect server in one JVM that is started directly.

What is special about it: a start costs seconds of loading classes (hence the archive and the
warm-up), its rows pass through the driver's memory (hence a bound, and small splits so that the
bound is met before the memory is), and of the object stores it reaches none without more jars.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from secrets import token_urlsafe

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.engines import s3a, spark_confs
from jobs.engines.api import EngineClient, EngineNeed
from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.late import connect
from jobs.engines.errors import EngineCannotReadError
from jobs.engines.executors import DriverPod
from jobs.engines.ground import (
    ENGINE_PORT,
    HERE,
    STATUS_PORT,
    Ground,
    Placed,
    place,
    require_near,
)
from jobs.engines.identity import account_of, variables_of, with_identity
from jobs.engines.spark_image import ImageSpark
from jobs.engines.spark_install import MIB, Driver, Spark, SparkInstall, driver_environment
from jobs.engines.spark_jobs import is_idle, kill_leftovers
from jobs.launchers.api import Launcher, Limits, RunSpec
from jobs.lifecycle.spec import EngineName
from sql.statement import Binding
from storage.base.clock import Clock
from storage.base.ids import ProjectId, RunId, new_id
from storage.objects.api import ObjectMissingError, ObjectStore
from storage.objects.buckets import S3Settings

log = logging.getLogger(__name__)

_OUTSIDE_HEAP = 640 * MIB  # metaspace, code, threads, network buffers: 0.5 to 0.6 GiB measured
_LEAST_HEAP = 512 * MIB
_PATTERN = re.compile(r"([\[\]{}*?\\])")
_RECORD = timedelta(minutes=10)  # writing the archive took 12 to 92 s
_TICK = timedelta(milliseconds=200)
#: What Connect asks for is read from there.
_ASKED = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
_POOLS, _SAMPLE = "fair-pools.xml", "warm-up.parquet"

#: One of each kind, so that the first statement of a person meets loaded and compiled classes.
_WARM_UP = (
    "SELECT 1",
    "SELECT k, count(*), sum(v), avg(d), max(t) FROM {t} WHERE v > 10 GROUP BY k ORDER BY k",
    "SELECT a.k, b.s FROM {t} a JOIN {t} b ON a.id = b.id WHERE a.day >= DATE'2020-01-01' LIMIT 10",
    "SELECT k, row_number() OVER (PARTITION BY k ORDER BY v DESC) FROM {t} LIMIT 5",
    "SELECT DISTINCT upper(s), CAST(d AS decimal(12,2)) * 2, CASE WHEN v > 1 THEN 'a' END FROM {t}",
    "EXPLAIN SELECT count(DISTINCT k) FROM {t}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSettings:
    """``java_home`` None: the Java that comes with this service."""

    cache: Path  #: where the class archive is kept, better beyond the life of one home
    java_home: Path | None = None
    #: start in two thirds of the time, but run long computations up to three times as long
    quick_compiler: bool = False
    ground: Ground = HERE
    s3: S3Settings | None = None  #: how buckets are reached; None: not
    store: ObjectStore | None = None  #: where pods find the sample that they warm up with


class SparkEngine:
    """How a Spark Connect server is started and spoken to."""

    name = EngineName.SPARK

    def __init__(self, settings: SparkSettings) -> None:
        self._settings = settings
        self.version = importlib.metadata.version("pyspark")
        self._install = SparkInstall(
            cache=settings.cache,
            java_home=settings.java_home,
            quick_compiler=settings.quick_compiler,
        )
        image = ImageSpark(quick_compiler=settings.quick_compiler)
        self._spark: Spark = image if settings.ground.pods else self._install

    def plan(self, need: EngineNeed) -> RunSpec:
        return self._spec(need)

    def check(self, binding: Binding) -> None:
        for file in binding.files:
            self._check(file.uri)

    def connect(self, address: str, token: str) -> EngineClient:
        return connect(address, self._dialect, token)

    def improve(self, launcher: Launcher, clock: Clock, stop: threading.Event) -> None:
        """Record the class archive, by a server at the lowest priority that lives for this.

        Pods have one in their image.
        """
        if self._settings.ground.pods:
            return
        archive = self._install.archive
        if archive.ready:
            return
        archive.prepare()
        run_id = RunId(new_id("run", clock.now()))
        draft = self._settings.cache / f"{run_id}.jsa"
        need = EngineNeed(
            run_id=run_id,
            project_id=ProjectId("none"),
            queue="none",
            directory=launcher.directory(run_id),
            memory_bytes=2048 * MIB,
            cores=1,
        )
        spec = self._spec(need, archive.recording(draft), priority=("/usr/bin/nice", "-n19"))
        launcher.launch(spec)
        try:
            client = self.connect(f"127.0.0.1:{spec.port}", need.token)
            while not client.alive(1.0):
                if launcher.status(run_id).state.ended or clock.wait(stop, _TICK):
                    return
            warming = threading.Thread(target=client.warm_up, name=f"warm-{run_id}", daemon=True)
            warming.start()
            while warming.is_alive():  # it ends with its server, which ``finally`` stops
                if clock.wait(stop, _TICK):
                    return
            client.close()
            if self._end(launcher, run_id, clock, stop):
                archive.keep(draft)
        finally:
            launcher.stop(run_id, grace=timedelta(0))
            launcher.forget(run_id)
            draft.unlink(missing_ok=True)

    def _end(self, launcher: Launcher, run_id: RunId, clock: Clock, stop: threading.Event) -> bool:
        """Ask the server to end and let it write the archive; false if ``stop`` came first."""
        over = threading.Event()

        def end() -> None:
            launcher.stop(run_id, grace=_RECORD, reason="recorded")
            over.set()

        threading.Thread(target=end, name=f"record-{run_id}", daemon=True).start()
        while not over.is_set():
            if clock.wait(stop, _TICK):
                return False
        return True

    @cached_property
    def _dialect(self) -> Dialect:
        sample = f"parquet.`{address(self._sample())}`"
        return Dialect(
            name=self.name.value,
            address=address,
            check=self._check,
            quoted_views=True,
            partition_folders=True,
            kill_leftovers=kill_leftovers,
            idle=is_idle,
            warm_up=tuple(text.format(t=sample) for text in _WARM_UP),
        )

    def _spec(
        self, need: EngineNeed, flags: tuple[str, ...] = (), *, priority: tuple[str, ...] = ()
    ) -> RunSpec:
        heap = max(need.memory_bytes - _OUTSIDE_HEAP, _LEAST_HEAP)
        port = self._settings.ground.port(ENGINE_PORT)
        executors, placed = need.terms.executors, self._placed(need)
        tasks = need.cores
        if placed.master is not None and executors is not None:
            tasks = executors.most * executors.size.cores
        driver = Driver(
            directory=need.directory,
            heap_bytes=heap,
            master=placed.master or f"local[{need.cores}]",
            confs={
                **spark_confs.CONFS,
                **spark_confs.sized(need, heap, tasks=tasks),
                **self._placed_confs(need),
                **placed.confs,
                "spark.connect.grpc.binding.port": str(port),
            },
            options=("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
            application=("spark-internal",),
            priority=priority,
            flags=flags,
            properties=spark_confs.PROPERTIES,
            coordinates=placed.master is not None,
        )
        return RunSpec(
            run_id=need.run_id,
            command=self._spark.command(driver),
            environment={
                **driver_environment(need.directory, pods=self._settings.ground.pods),
                **self._secrets(need),
                _ASKED: need.token,
            },
            directory=need.directory,
            memory_bytes=max(need.memory_bytes, heap + _OUTSIDE_HEAP),
            limits=Limits(cores=need.cores),
            labels=self._labels(need),
            port=port,
            pod=placed.pod,
        )

    def _placed(self, need: EngineNeed) -> Placed:
        pod = with_identity(need.terms.options(need.cores, need.memory_bytes), need.credentials)
        executors = need.terms.executors
        heap = max(executors.size.memory_bytes - _OUTSIDE_HEAP, _LEAST_HEAP) if executors else 0
        driver = DriverPod(
            run_id=need.run_id,
            directory=str(need.directory),
            executor_heap=heap,
            labels=self._labels(need),
            secrets=self._secrets(need),
            variables=variables_of(need.credentials),
            service_account=account_of(need.credentials),
            key=token_urlsafe(32),
        )
        pod = replace(pod, files={_POOLS: spark_confs.POOLS})
        return place(self._settings.ground, pod, driver, executors)

    def _placed_confs(self, need: EngineNeed) -> dict[str, str]:
        """Those that depend on where it runs, with executors or without."""
        ground, s3 = self._settings.ground, self._settings.s3
        if ground.pods:
            pools = need.directory / _POOLS
        else:
            pools = self._kept(_POOLS, lambda path: path.write_text(spark_confs.POOLS))
        return {
            "spark.connect.grpc.binding.address": ground.listens,
            "spark.scheduler.allocation.file": f"file://{pools}",
            "spark.ui.port": str(ground.port(STATUS_PORT)),
            **({} if s3 is None else s3a.confs(s3, need.credentials)),
        }

    def _labels(self, need: EngineNeed) -> dict[str, str]:
        return {"engine": self.name.value, "project": need.project_id, "queue": need.queue}

    def _secrets(self, need: EngineNeed) -> Mapping[str, str]:
        s3 = self._settings.s3
        return {} if s3 is None else s3a.environment(s3, need.credentials)

    def _check(self, uri: str) -> None:
        require_near(uri, self._settings.ground, engine=self.name.value)
        if uri.startswith("file://") or self._spark.reaches_s3:
            return
        raise EngineCannotReadError(
            f"Spark has no connector for {uri.partition('://')[0]}:// in this installation",
            hint="run the statement on Sail, or add the hadoop-aws and AWS SDK jars to Spark",
            engine=self.name.value,
        )

    def _sample(self) -> str:
        """The address of a small file that every engine of this ground can read."""
        store = self._settings.store
        if store is None or not self._settings.ground.pods:
            path = self._kept(_SAMPLE, lambda path: pq.write_table(_sample_rows(), path))
            return f"file://{path}"
        key = f"engines/{_SAMPLE}"
        try:
            store.stat(key)
        except ObjectMissingError:
            sink = pa.BufferOutputStream()
            pq.write_table(_sample_rows(), sink)
            store.put(key, sink.getvalue().to_pybytes())
        return store.uri(key)

    def _kept(self, name: str, write: Callable[[Path], object]) -> Path:
        """A small file in the cache, written once."""
        path = self._settings.cache / name
        if not path.exists():
            self._settings.cache.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{name}.{os.getpid()}.{threading.get_ident()}")
            write(draft)
            draft.replace(path)
        return path


def address(uri: str) -> str:
    """Spark takes a path literally but for the characters of patterns."""
    scheme, _, path = uri.partition("://")
    escaped = _PATTERN.sub(r"\\\1", path)
    return f"{'s3a' if scheme == 's3' else scheme}://{escaped}"


def _sample_rows() -> pa.Table:
    numbers = range(100)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "k": pa.array([n % 7 for n in numbers], pa.int32()),
            "v": pa.array(numbers, pa.int64()),
            "d": pa.array([n / 8 for n in numbers], pa.float64()),
            "s": pa.array([f"text {n}" for n in numbers], pa.string()),
            "t": pa.array([n * 10**9 for n in numbers], pa.timestamp("us", tz="UTC")),
            "day": pa.array([n * 200 for n in numbers], pa.date32()),
        }
    )
