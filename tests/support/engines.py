"""Real engines for tests: a server of each kind, started once for all tests of a worker."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from jobs.engines.api import Engine, EngineNeed, EngineSession
from jobs.engines.connect.client import ConnectClient
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.local import LocalLauncher
from sql.statement import Binding
from storage.base.ids import ProjectId, RunId, SnapshotId, TableId, new_id
from storage.catalog.definitions import Column, TableFormat
from storage.tables.snapshots import TableFile

#: Class archives outlive the tests: they belong to the installation that runs them.
CACHE = Path(sys.prefix) / "cache" / "spark"

ENGINES: dict[str, Callable[[], Engine]] = {
    "sail": lambda: SailEngine(SailSettings()),
    "spark": lambda: SparkEngine(SparkSettings(cache=CACHE, quick_compiler=True)),
}

#: For ``params`` of fixtures and tests: tests of one JVM stay together on one worker.
BOTH = (
    pytest.param("sail", id="sail"),
    pytest.param("spark", id="spark", marks=(pytest.mark.spark, pytest.mark.xdist_group("spark"))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """A server, its client and its process."""

    name: str
    client: ConnectClient
    launcher: LocalLauncher
    run_id: RunId
    address: str  #: ``host:port``
    token: str  #: that the server asks for, if its kind can

    @property
    def process(self) -> psutil.Process:
        pid = self.launcher.status(self.run_id).pid
        assert pid is not None
        return psutil.Process(pid)

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return self.launcher.status(self.run_id).cpu_seconds

    @contextmanager
    def session(self, *bindings: Binding) -> Iterator[EngineSession]:
        made = self.client.open_session()
        try:
            for each in bindings:
                made.bind(each)
            yield made
        finally:
            made.release()

    def rows(self, sql: str, *bindings: Binding) -> list[dict[str, object]]:
        with self.session(*bindings) as session:
            found: list[dict[str, object]] = run(session, sql).to_pylist()
            return found


def run(session: EngineSession, sql: str) -> pa.Table:
    """All rows of a query."""
    stream = session.execute(sql, operation_id=str(uuid.uuid4()))
    return pa.Table.from_batches(list(stream), schema=stream.schema)


@contextmanager
def start_engine(name: str, root: Path, *, memory_bytes: int = 2 << 30) -> Iterator[RunningEngine]:
    """A server of its own, ended with the block."""
    launcher, engine = LocalLauncher(root), ENGINES[name]()
    run_id = RunId(new_id("run", datetime.now(UTC)))
    need = EngineNeed(
        run_id=run_id,
        project_id=ProjectId("prj_test"),
        queue="default",
        directory=launcher.directory(run_id),
        memory_bytes=memory_bytes,
        cores=2,
    )
    spec = engine.plan(need)
    assert spec.port is not None
    launcher.launch(spec)
    pause, end = threading.Event(), time.monotonic() + 120.0
    try:
        while launcher.address(run_id, spec.port) is None:
            assert not launcher.status(run_id).state.ended, launcher.logs(run_id).data
            pause.wait(0.02)
        client = engine.connect(f"127.0.0.1:{spec.port}", need.token)
        assert isinstance(client, ConnectClient)
        while not client.alive(120.0):  # the first call may be cut off, as in ``starting``
            assert not launcher.status(run_id).state.ended, launcher.logs(run_id).data
            assert time.monotonic() < end, launcher.logs(run_id).data.decode()
            pause.wait(0.02)
        yield RunningEngine(
            name=name,
            client=client,
            launcher=launcher,
            run_id=run_id,
            address=f"127.0.0.1:{spec.port}",
            token=need.token,
        )
        client.close()
    finally:
        launcher.stop(run_id, grace=timedelta(0))
        launcher.close()


@pytest.fixture(scope="session")
def shared_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningEngine]]:
    """Filled on demand by ``shared_engine``."""

    class Lazy(dict[str, RunningEngine]):
        def __missing__(self, name: str) -> RunningEngine:
            root = tmp_path_factory.mktemp(name) / "runs"
            self[name] = stack.enter_context(start_engine(name, root))
            return self[name]

    with ExitStack() as stack:
        yield Lazy()


@pytest.fixture(params=BOTH)
def engine(
    request: pytest.FixtureRequest, shared_engines: dict[str, RunningEngine]
) -> RunningEngine:
    """Each engine in turn, shared: do not kill it."""
    return shared_engines[request.param]


def binding(
    view: str,
    columns: Sequence[tuple[str, str]],
    files: Sequence[Path | tuple[Path, tuple[str | None, ...]]],
    *,
    format: TableFormat = TableFormat.PARQUET,
    partitioned_by: tuple[str, ...] = (),
    options: Sequence[tuple[str, str]] = (),
) -> Binding:
    """A binding of local files, each with its partition values where there are some."""
    pairs = [each if isinstance(each, tuple) else (each, ()) for each in files]
    return Binding(
        view=view,
        table_id=TableId("tbl_test"),
        snapshot_id=SnapshotId("snp_test"),
        format=format,
        columns=tuple(Column(name=name, type=type_) for name, type_ in columns),
        partitioned_by=partitioned_by,
        options=tuple(options),
        files=tuple(
            TableFile(uri=f"file://{path}", size=_size(path), rows=None, etag="", partition=values)
            for path, values in pairs
        ),
    )


def _size(path: Path) -> int:
    return os.stat(path).st_size if path.exists() else 0
