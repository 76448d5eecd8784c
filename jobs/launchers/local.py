"""Runs as processes of this machine, each under a warden (see ``warden``) in a folder of its own.

The folder is all that is known of a run after a restart: what it was, whether it ended, what it
wrote. Each process of a run carries the run's id in its environment, so that those which fled from
their process group and lost their warden are found as well.
"""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import psutil

from jobs.launchers.api import LaunchError, LogPart, RunExistsError, RunSpec, RunState, RunStatus
from jobs.launchers.identity import identity
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_WARDEN = Path(__file__).with_name("warden.py")
_ORPHAN_GRACE = 2.0  # seconds between SIGTERM and SIGKILL when the service is gone
_MARK = "DLI_RUN_ID"  # in the environment of each process of a run
_SAMPLE = 0.5  # seconds between two looks at a run's memory
_PATIENCE = 5.0  # seconds for the warden to end a run after the grace is over


class LocalLauncher:
    """Launches below ``root``, which belongs to one service at a time."""

    def __init__(self, root: Path, *, log_bytes: int = 1 << 20) -> None:
        self._root = root
        self._log_bytes = log_bytes
        self._lock = threading.Lock()  # guards _live
        self._live: dict[RunId, _Live] = {}
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def directory(self, run_id: RunId) -> Path:
        return self._root / run_id

    def launch(self, spec: RunSpec) -> RunStatus:
        directory = self.directory(spec.run_id)
        if spec.directory != directory:
            raise ValueError(f"a local run's directory is {directory}, not {spec.directory}")
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError as error:
            raise RunExistsError(f"run {spec.run_id} was launched before") from error
        except OSError as error:
            raise LaunchError(f"cannot make {directory}: {error.strerror}") from error
        try:
            live = _Live(spec=spec, warden=self._start(spec), launcher=self)
        except OSError as error:
            raise LaunchError(f"cannot start a process: {error.strerror}") from error
        with self._lock:
            self._live[spec.run_id] = live
        live.begin()
        log.info("run launched", extra={"run": spec.run_id, "labels": dict(spec.labels)})
        return RunStatus(run_id=spec.run_id, state=RunState.STARTING)

    def status(self, run_id: RunId) -> RunStatus:
        live = self._known(run_id)
        started, exited = self._facts(run_id, "started.json"), self._facts(run_id, "exited.json")
        ended = exited is not None if live is None else live.ended.is_set()
        if exited is not None and ended:
            reason = live.reason if live else None
            return RunStatus(
                run_id=run_id,
                state=RunState.EXITED,
                exit_code=exited["code"],
                reason=reason or ("stopped" if exited["stopped"] else None),
                pid=started["pid"] if started else None,
                cpu_seconds=exited["cpu"],
            )
        if ended or (live is None and not self._alive(started)):
            return RunStatus(
                run_id=run_id, state=RunState.GONE, reason=live.reason if live else None
            )
        if started is None:
            return RunStatus(run_id=run_id, state=RunState.STARTING)
        running = RunStatus(run_id=run_id, state=RunState.RUNNING, pid=started["pid"])
        return _measured(running, started["pid_identity"])

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        live = self._known(run_id)
        if live is None:
            self._stop_foreign(run_id, grace)
        else:
            live.stop(grace.total_seconds(), reason)
        return self.status(run_id)

    def logs(self, run_id: RunId, *, offset: int = 0) -> LogPart:
        parts: list[bytes] = []
        at = offset
        for path in sorted(self.directory(run_id).glob("output.*.log")):
            begin = int(path.name.split(".")[1])
            try:
                with path.open("rb") as file:
                    if not parts:
                        at = max(offset, begin)
                    file.seek(max(at - begin, 0))
                    parts.append(file.read())
            except FileNotFoundError:  # let go while we looked
                continue
        return LogPart(offset=at, data=b"".join(parts))

    def address(self, run_id: RunId, port: int) -> str | None:
        status = self.status(run_id)
        if status.state is not RunState.RUNNING or status.pid is None:
            return None
        try:
            sockets = psutil.Process(status.pid).net_connections("tcp")
        except psutil.Error:
            return None
        listens = any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets
        )
        return f"127.0.0.1:{port}" if listens else None

    def running(self) -> Iterator[RunId]:
        for run_id in self.known():
            if not self.status(run_id).state.ended:
                yield run_id

    def known(self) -> Iterator[RunId]:
        for path in sorted(self._root.iterdir()):
            yield RunId(path.name)

    def forget(self, run_id: RunId) -> None:
        if not self.status(run_id).state.ended:
            raise ValueError(f"run {run_id} still runs")
        with self._lock:
            live = self._live.pop(run_id, None)
        if live is not None:
            live.join()
        shutil.rmtree(self.directory(run_id), ignore_errors=True)

    def close(self) -> None:
        with self._lock:
            live = list(self._live.values())
        for run in live:
            run.ask_to_stop(2.0, "stopped")
        for run in live:
            run.stop(2.0, "stopped")
            run.join()

    def sweep(self, run_id: RunId) -> None:
        """Kill what a dead warden left: the command's group if it is still it, and all marked."""
        started = self._facts(run_id, "started.json")
        if started is not None and _is(started, "pid"):
            _kill_group(started["pid"])
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == run_id:
                    process.kill()
            except psutil.Error:
                continue

    def _start(self, spec: RunSpec) -> subprocess.Popen[bytes]:
        """A warden that has its order; the order goes through the pipe, out of sight of ``ps``."""
        with (spec.directory / "warden.log").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WARDEN)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=spec.directory,
                env={"LC_ALL": "C"},
                start_new_session=True,
            )
        order = {
            "command": spec.command,
            "environment": {**spec.environment, _MARK: spec.run_id},
            "directory": str(spec.directory),
            "log_bytes": self._log_bytes,
            "grace": _ORPHAN_GRACE,
        }
        _tell(process.stdin, json.dumps(order).encode())
        return process

    def _stop_foreign(self, run_id: RunId, grace: timedelta) -> None:
        """End a run of a service that died: its warden should be at it already."""
        started = self._facts(run_id, "started.json")
        if started is not None and _is(started, "warden"):
            _send(started["warden"], signal.SIGTERM)
            _until(lambda: not _is(started, "warden"), grace.total_seconds() + _ORPHAN_GRACE)
            if _is(started, "warden"):
                _send(started["warden"], signal.SIGKILL)
        self.sweep(run_id)
        _until(lambda: not self._alive(started), _PATIENCE)

    def _alive(self, started: dict[str, Any] | None) -> bool:
        return started is not None and (_is(started, "pid") or _is(started, "warden"))

    def _facts(self, run_id: RunId, name: str) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads((self.directory(run_id) / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return facts

    def _known(self, run_id: RunId) -> _Live | None:
        with self._lock:
            return self._live.get(run_id)


@dataclass(kw_only=True, eq=False)
class _Live:
    """A run of this service: its warden, and the thread that waits for the warden's end."""

    spec: RunSpec
    warden: subprocess.Popen[bytes]
    launcher: LocalLauncher
    reason: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def begin(self) -> None:
        name = f"watch-{self.spec.run_id}"
        self.thread = threading.Thread(target=self._watch, name=name, daemon=True)
        self.thread.start()

    def join(self) -> None:
        if self.thread is not None:
            self.thread.join()

    def ask_to_stop(self, grace: float, reason: str) -> None:
        """Let the end begin; the first reason is the one that is told."""
        self.reason = self.reason or reason
        _tell(self.warden.stdin, f"stop {grace}".encode())

    def stop(self, grace: float, reason: str) -> None:
        if self.ended.is_set():
            return
        self.ask_to_stop(grace, reason)
        if not self.ended.wait(grace + _PATIENCE):
            log.error("a warden does not obey", extra={"run": self.spec.run_id})
            self.warden.kill()
            self.ended.wait()

    def _watch(self) -> None:
        """Wait until the warden is dead, however it died: its standard output ends then."""
        assert self.warden.stdout is not None
        assert self.warden.stdin is not None
        while not select.select([self.warden.stdout], [], [], _SAMPLE)[0]:
            self._look_at_memory()
        self.warden.wait()
        self.warden.stdout.close()
        try:
            self.warden.stdin.close()
        except BrokenPipeError:
            log.debug("the warden was gone first", extra={"run": self.spec.run_id})
        run_id = self.spec.run_id
        if not (self.spec.directory / "exited.json").exists():
            self.reason = self.reason or "orphaned"
            log.warning("a warden died before its run", extra={"run": run_id})
            self.launcher.sweep(run_id)
        self.ended.set()
        log.info("run ended", extra={"run": run_id, "reason": self.reason})

    def _look_at_memory(self) -> None:
        if self.spec.memory_bytes is None or self.reason is not None:
            return
        status = self.launcher.status(self.spec.run_id)
        if status.rss_bytes > self.spec.memory_bytes:
            log.warning("run over its memory", extra={"run": self.spec.run_id})
            self.ask_to_stop(0.0, "memory")


def _is(started: dict[str, Any], which: str) -> bool:
    """Whether the process that the facts name (``pid`` or ``warden``) still runs, and is it."""
    return bool(identity(started[which]) == started[f"{which}_identity"])


def _measured(status: RunStatus, expected: str) -> RunStatus:
    """``status`` with memory and CPU of its process; without, if it has just ended."""
    assert status.pid is not None
    try:
        process = psutil.Process(status.pid)
        with process.oneshot():
            rss, cpu = process.memory_info().rss, process.cpu_times()
    except psutil.Error:
        return status
    if identity(status.pid) != expected:
        return status
    return replace(status, rss_bytes=rss, cpu_seconds=cpu.user + cpu.system)


def _tell(pipe: IO[bytes] | None, line: bytes) -> None:
    """Write one line to a warden; one that is gone needs no order."""
    assert pipe is not None
    try:
        pipe.write(line + b"\n")
        pipe.flush()
    except (BrokenPipeError, ValueError):
        return


def _until(done: Callable[[], bool], seconds: float) -> None:
    """Look 50 times a second until ``done()`` or the time is over."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        pause.wait(0.02)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
