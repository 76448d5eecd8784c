"""The questions of ``dli doctor``, each answered by trying. Loaded by name: it needs everything."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import psutil

from dli.home import TOKEN
from dli.remote.access import config_path, readable_by_others
from dli.server import listening_socket
from dli.settings.loading import Settings
from jobs.engines.api import Engine, EngineNeed
from jobs.engines.java import find_java
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.runs import is_of_job
from jobs.store.run_rows import living_of
from jobs.tasks.commands import find_commands
from jobs.tasks.sandbox import SandboxMode, find_sandbox
from storage.base.clock import SystemClock
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, RunId, new_id
from storage.base.quantities import format_size
from storage.meta.database import Database
from storage.objects.folder import FolderStore

_START_SECONDS = 180.0
_LITTLE_SPACE = 2 * 10**9  # bytes
_MEMORY = 2 * 2**30  # bytes, for an engine that is only asked for one row


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An answer: ``good`` None is worth a look but does no harm."""

    name: str
    good: bool | None
    told: str
    hint: str | None = None


def run_checks(
    settings: Settings, environment: Mapping[str, str], *, engines: bool
) -> Iterator[Check]:
    """All answers, in the order in which a start would meet the questions."""
    yield _python()
    yield from _home(settings.folder)
    yield from _private(settings.folder / TOKEN, "token file")
    yield from _private(config_path(environment), "config file")
    yield _database(settings)
    yield _warehouse(settings)
    alive = _answers(settings)
    yield _port(settings, alive=alive)
    yield _leftovers(settings, alive=alive)
    yield _tasks(settings)
    yield _java()
    if engines:
        with tempfile.TemporaryDirectory(prefix="dli-doctor-") as folder:
            yield _engine(SailEngine(SailSettings()), Path(folder))
            yield _engine(SparkEngine(SparkSettings(cache=Path(folder))), Path(folder))


def _python() -> Check:
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check(name="python", good=good, told=told, hint=None if good else "use 3.11 to 3.13")


def _home(folder: Path) -> Iterator[Check]:
    if not folder.exists():
        yield Check(name="home", good=True, told=f"{folder} will be made at the first start")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        yield Check(
            name="home",
            good=False,
            told=f"{folder} cannot be written: {error.strerror}",
            hint="choose another by DLI_HOME or --home",
        )
        return
    free = shutil.disk_usage(folder).free
    few = free < _LITTLE_SPACE
    yield Check(
        name="home",
        good=None if few else True,
        told=f"{folder}, {format_size(free)} free",
        hint="results and tables need space" if few else None,
    )


def _private(path: Path, name: str) -> Iterator[Check]:
    if path.is_file():
        open_to_all = readable_by_others(path)
        yield Check(
            name=name,
            good=not open_to_all,
            told=f"{path} is {'readable by others' if open_to_all else 'private'}",
            hint=f"chmod 600 {path}; others may know the token: revoke it" if open_to_all else None,
        )


def _database(settings: Settings) -> Check:
    path = settings.folder / "meta.db"
    given = settings.database_url
    if given is None and not path.exists():
        return Check(name="database", good=True, told=f"{path} will be made at the first start")
    try:
        with contextlib.closing(Database(settings.metadata_url)) as database, database.read() as tx:
            tx.exec_driver_sql("SELECT 1")
            return Check(name="database", good=True, told=f"{database.dialect} answers")
    except ServiceError as error:
        return Check(name="database", good=False, told=error.message, hint=error.hint)


def _warehouse(settings: Settings) -> Check:
    given = settings.warehouse or str(settings.folder / "warehouse")
    if given.startswith("s3://"):
        told = f"{given}, looked at when the service starts"
        return Check(name="warehouse", good=None, told=told)
    if not Path(given).exists():
        return Check(name="warehouse", good=True, told=f"{given} will be made at the first start")
    key = f"doctor/{uuid.uuid4().hex}"
    try:
        store = FolderStore(Path(given))
        store.put(key, b"x")
        store.delete(key)
    except ServiceError as error:
        return Check(name="warehouse", good=False, told=error.message, hint=error.hint)
    return Check(name="warehouse", good=True, told=f"{given} can be written")


def _answers(settings: Settings) -> bool:
    """Whether a service of ours listens on the port."""
    try:
        answer = httpx.get(
            f"http://{settings.host}:{settings.port}/healthz", timeout=5, trust_env=False
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and answer.text.strip() == '{"status":"ok"}'


def _port(settings: Settings, *, alive: bool) -> Check:
    if alive:
        told = f"a service answers on {settings.host}:{settings.port}"
        return Check(name="port", good=True, told=told)
    try:
        listening_socket(settings.host, settings.port).close()
    except ServiceError as error:
        return Check(name="port", good=False, told=error.message, hint=error.hint)
    return Check(name="port", good=True, told=f"{settings.port} of {settings.host} is free")


def _leftovers(settings: Settings, *, alive: bool) -> Check:
    """Processes of runs below the home that nobody wants: no service, no living job."""
    folder = settings.folder
    found: dict[int, RunId] = {}
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found[process.pid] = RunId(process.environ()["DLI_RUN_ID"])
        except (psutil.Error, KeyError):  # not ours to look at, gone by now, or something else
            continue
    served = alive or _locked(folder)
    wanted = _wanted(settings, frozenset(found.values()))
    orphans = {
        pid: run_id
        for pid, run_id in found.items()
        if (run_id not in wanted if is_of_job(run_id) else not served)
    }
    if orphans:
        told = ", ".join(f"{pid} ({run_id})" for pid, run_id in orphans.items())
        return Check(
            name="leftovers",
            good=False,
            told=f"processes that nobody wants: {told}",
            hint="a running service ends them within seconds"
            if served
            else "the next start ends them",
        )
    told = f"{len(found)} processes of runs, all wanted" if found else "none"
    return Check(name="leftovers", good=True, told=told)


def _wanted(settings: Settings, run_ids: frozenset[RunId]) -> frozenset[RunId]:
    """Which of these runs have a row without an end; all, where the database does not tell."""
    path = settings.folder / "meta.db"
    given = settings.database_url
    if not run_ids or (given is None and not path.exists()):
        return run_ids
    try:
        with contextlib.closing(Database(settings.metadata_url)) as database, database.read() as tx:
            return living_of(tx, run_ids)
    except ServiceError:
        return run_ids


def _locked(folder: Path) -> bool:
    """Whether the process that wrote itself into the home's lock still runs."""
    try:
        owner = int((folder / "lock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return psutil.pid_exists(owner)


def _tasks(settings: Settings) -> Check:
    """Which commands and images tasks may run, and in what."""
    if settings.launcher == "kubernetes":
        allowed = ", ".join((*settings.task_commands, *settings.task_images))
        told = f"{allowed}; pods" if allowed else "off: task_commands and task_images name none"
        return Check(name="tasks", good=True, told=told)
    search = os.environ.get("PATH", os.defpath)
    try:
        if not find_commands(settings.task_commands, search=search):
            return Check(name="tasks", good=True, told="off: task_commands names none")
        sandbox = find_sandbox(settings.task_sandbox, settings.task_paths)
    except ServiceError as error:
        return Check(name="tasks", good=False, told=error.message, hint=error.hint)
    told = f"{', '.join(settings.task_commands)}; {sandbox.name}"
    if sandbox.program is not None or settings.task_sandbox is SandboxMode.OFF:
        return Check(name="tasks", good=True, told=told)
    hint = "install bubblewrap, or say that this is meant: task_sandbox = off"
    return Check(name="tasks", good=None, told=f"{told} only, no sandbox", hint=hint)


def _java() -> Check:
    try:
        java = find_java(None)
    except ServiceError as error:
        return Check(name="java", good=False, told=error.message, hint=error.hint)
    return Check(name="java", good=True, told=f"{java.major} at {java.program}")


def _engine(engine: Engine, folder: Path) -> Check:
    """Start the engine, ask it for one row, and end it."""
    name = f"engine {engine.name.value}"
    launcher = LocalLauncher(folder / engine.name.value)
    run_id = RunId(new_id("run", SystemClock().now()))
    began = time.monotonic()
    try:
        need = EngineNeed(
            run_id=run_id,
            project_id=ProjectId("doctor"),
            queue="doctor",
            directory=launcher.directory(run_id),
            memory_bytes=_MEMORY,
            cores=1,
        )
        spec = engine.plan(need)
        launcher.launch(spec)
        _first_row(engine, f"127.0.0.1:{spec.port}", need.token)
    except (ServiceError, TimeoutError) as error:
        output = launcher.logs(run_id).data[-300:].decode(errors="replace").strip()
        return Check(name=name, good=False, told=str(error), hint=output or None)
    finally:
        launcher.stop(run_id, grace=timedelta(seconds=5))
        launcher.close()
    told = f"{engine.version}, first row after {time.monotonic() - began:.1f} s"
    return Check(name=name, good=True, told=told)


def _first_row(engine: Engine, address: str, token: str) -> None:
    client = engine.connect(address, token)
    pause, until = threading.Event(), time.monotonic() + _START_SECONDS
    try:
        while not client.alive(timeout=1.0):
            if time.monotonic() > until:
                raise TimeoutError(f"no answer after {_START_SECONDS:.0f} s")
            pause.wait(0.05)
        session = client.open_session()
        rows = sum(
            batch.num_rows for batch in session.execute("SELECT 1", operation_id=str(uuid.uuid4()))
        )
        session.release()
        assert rows == 1
    finally:
        client.close()
