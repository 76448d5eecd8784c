"""The engine that a service has started, spoken to directly: the baseline of what we add."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.service import Service
from dli.client import Client
from jobs.engines.api import Engine, EngineSession
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from sql.statement import Binding
from storage.base.ids import SnapshotId, TableId
from storage.catalog.definitions import Column, TableFormat
from storage.tables.snapshots import TableFile

#: So that the pool does not replace an engine as too large while the baseline uses it.
ROOMY = {"DLI_SAIL_MEMORY": "8GiB", "DLI_SPARK_MEMORY": "8GiB"}


def open_raw_session(service: Service, client: Client, engine: str) -> EngineSession:
    """A session of the service's own warm engine, started if it is not there."""
    client.run("SELECT 1", engine=engine)
    kind = _engine(engine, service.home)
    for port, token in _ports(service, engine):
        server = kind.connect(f"127.0.0.1:{port}", token)
        if server.alive(2.0):
            return server.open_session()
        server.close()
    raise RuntimeError(f"the service has no {engine} that answers")


def bind_table(session: EngineSession, client: Client, name: str) -> None:
    """Make ``database.table`` known in the session under its bare name."""
    table = client.table(name)
    session.bind(
        Binding(
            view=table["name"],
            table_id=TableId(table["id"]),
            snapshot_id=SnapshotId(table["snapshot"]),
            format=TableFormat(table["format"]),
            columns=tuple(
                Column(name=column["name"], type=column["type"]) for column in table["columns"]
            ),
            partitioned_by=(),
            options=(),
            files=tuple(
                TableFile(uri=file["uri"], size=file["size"], rows=file["rows"], etag="")
                for file in table["files"]
            ),
        )
    )


def execute(session: EngineSession, sql: str) -> int:
    """Run a query and read all its rows; how many there were."""
    stream = session.execute(sql, operation_id=str(uuid.uuid4()))
    return sum(batch.num_rows for batch in stream)


def _engine(name: str, home: Path) -> Engine:
    if name == "sail":
        return SailEngine(SailSettings())
    return SparkEngine(SparkSettings(cache=home / "no-archive"))


def _ports(service: Service, engine: str) -> Sequence[tuple[int, str]]:
    """Where processes of this engine listen, with their tokens; Spark also does for things of its
    own.

    Not those of a lower priority: they record the class archive of later starts.
    """
    word = {"sail": "pysail", "spark": "java"}[engine]
    return [
        (connection.laddr.port, process.environ().get("SPARK_CONNECT_AUTHENTICATE_TOKEN", ""))
        for process in service.children()
        if any(word in part for part in _command(process))
        and process.nice() <= psutil.Process().nice()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]


def _command(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return ()
