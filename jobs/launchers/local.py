"""Runs as processes of this machine, each under a warden (see ``warden``) in a folder of its own.

The folder is all that is known of a run, and all that is needed to deal with it: this launcher
keeps nothing of a run in memory but the pipe of its warden, so a run of a service that died is like
one of its own. Each process of a run carries the run's id in its environment, so that those which
fled from their process group and lost their warden are found as well.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from jobs.launchers import facts, machine, processes
from jobs.launchers.api import (
    Asked,
    Capacity,
    LaunchError,
    LogPart,
    LogStream,
    RunExistsError,
    RunSpec,
    RunState,
    RunStatus,
)
from jobs.launchers.identity import boot, moment
from jobs.launchers.remains import MARK, clear, is_still, until
from jobs.launchers.segments import PART, read_log, read_start
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_WARDEN = Path(__file__).with_name("warden.py")
_DYING = 5.0  # seconds from SIGKILL to the end of a process
_UNBORN = 5.0  # seconds that a warden may need to take its lock
_CLOSING = timedelta(seconds=2)


class LocalLauncher:
    """Launches below ``root``, which belongs to one service at a time."""

    place: str | None = None

    def __init__(self, root: Path, *, log_bytes: int = 1 << 20, patience: float = 5.0) -> None:
        self._root = root
        self._patience = patience  # seconds for a warden to end a run after the grace is over
        self._log_bytes = log_bytes
        self._lock = threading.Lock()  # guards _wardens
        self._wardens: dict[RunId, _Warden] = {}
        self._turn = itertools.count()  # which cores the next run gets
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def directory(self, run_id: RunId) -> Path:
        return self._root / run_id / "work"

    def prepare(self, run_id: RunId) -> Path:
        directory = self.directory(run_id)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"cannot make {directory}: {error.strerror}") from error
        if self._facts(run_id, "order.json") is not None:
            raise RunExistsError(f"run {run_id} was launched before")
        return directory

    def launch(self, spec: RunSpec) -> RunStatus:
        directory = self.prepare(spec.run_id)
        if spec.directory != directory:
            raise ValueError(f"a local run's directory is {directory}, not {spec.directory}")
        order = {
            "labels": dict(spec.labels),
            "stdout": _text(spec.stdout),
            "merged": spec.merged,
            "boot": boot(),
            "launched": moment(),
        }
        try:
            if not facts.claim(self._home(spec.run_id), "order.json", order):
                raise RunExistsError(f"run {spec.run_id} was launched before")
            if spec.lease is not None:
                at = moment() if spec.renewed_at is None else spec.renewed_at
                facts.touch(self._home(spec.run_id), "lease", at)
            warden = self._start(spec)
        except OSError as error:
            raise LaunchError(f"cannot start a process: {error.strerror}") from error
        with self._lock:
            self._wardens[spec.run_id] = warden
        log.info("run launched", extra={"run": spec.run_id, "labels": dict(spec.labels)})
        return RunStatus(run_id=spec.run_id, state=RunState.STARTING)

    def adopt(self, run_id: RunId) -> RunStatus:
        return self.status(run_id)

    def status(self, run_id: RunId) -> RunStatus:
        known = self._look(run_id)
        if known.state is not RunState.RUNNING:
            return known
        return self._measured(known)

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        if not self._look(run_id).state.ended:
            self._ask_to_stop(run_id, grace.total_seconds(), reason)
            if not self._ends_within(run_id, grace.total_seconds() + self._patience):
                log.error("a warden does not obey", extra={"run": run_id})
                self._kill_warden(run_id)
                self._ends_within(run_id, _DYING)
        return self.status(run_id)

    def moment(self) -> float:
        return moment()

    def renew(self, run_ids: Iterable[RunId], *, at: float) -> None:
        for run_id in run_ids:
            before = facts.touched(self._home(run_id), "lease")
            if before is not None and before < at:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    facts.touch(self._home(run_id), "lease", at)

    def logs(
        self, run_id: RunId, *, stream: LogStream = LogStream.STDOUT, offset: int = 0
    ) -> LogPart:
        order = self._facts(run_id, "order.json") or {"merged": True}
        if order["merged"]:
            at, data = read_log(self._home(run_id), "output", offset)
        elif order["stdout"] is not None and stream is LogStream.STDOUT:
            at, data = read_start(order["stdout"], offset)
        else:
            at, data = read_log(self._home(run_id), stream.value, offset)
        return LogPart(offset=at, data=data[:PART])

    def address(self, run_id: RunId, port: int) -> str | None:
        status = self._look(run_id)
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
            if not self._look(run_id).state.ended:
                yield run_id

    def known(self) -> Iterator[RunId]:
        for path in sorted(self._root.iterdir()):
            yield RunId(path.name)

    def forget(self, run_id: RunId) -> None:
        if not self._look(run_id).state.ended:
            raise ValueError(f"run {run_id} still runs")
        with self._lock:
            warden = self._wardens.pop(run_id, None)
        if warden is not None:
            warden.bury()
        shutil.rmtree(self._home(run_id), ignore_errors=True)

    def capacity(self) -> Capacity:
        return machine.capacity()

    def answers(self) -> bool:
        return True

    def requests(self) -> Mapping[Asked, int]:
        return {}

    def close(self) -> None:
        with self._lock:
            wardens = dict(self._wardens)
        ours = [run_id for run_id, warden in wardens.items() if not warden.leased]
        for run_id in ours:
            if not self._look(run_id).state.ended:
                self._ask_to_stop(run_id, _CLOSING.total_seconds(), "stopped")
        for run_id in ours:
            self.stop(run_id, grace=_CLOSING)
        for run_id, warden in wardens.items():
            if self._look(run_id).state.ended:
                warden.bury()
            else:
                warden.leave()

    def _start(self, spec: RunSpec) -> _Warden:
        """A warden that has its order; the order goes through the pipe, out of sight of ``ps``."""
        home = self._home(spec.run_id)
        with (Path(home) / "warden.log").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WARDEN), home],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                cwd=home,
                env={"LC_ALL": "C"},
                start_new_session=True,
            )
        warden = _Warden(process=process, leased=spec.lease is not None)
        warden.tell(json.dumps(self._order(spec)).encode())
        return warden

    def _order(self, spec: RunSpec) -> dict[str, Any]:
        seconds = {
            "grace": spec.grace.total_seconds(),
            "timeout": spec.timeout.total_seconds() if spec.timeout else None,
            "lease": spec.lease.total_seconds() if spec.lease else None,
        }
        return {
            "command": spec.command,
            "environment": {**spec.environment, MARK: spec.run_id},
            "directory": str(spec.directory),
            "workdir": str(spec.workdir or spec.directory),
            "stdin": _text(spec.stdin),
            "stdout": _text(spec.stdout),
            "merged": spec.merged,
            "log_bytes": self._log_bytes,
            "memory_bytes": spec.memory_bytes,
            "max_output_bytes": spec.max_output_bytes,
            "cpus": self._cpus(spec.limits.cores),
            "nice": spec.limits.nice,
            "open_files": spec.limits.open_files,
            "wrapper": _text(spec.wrapper),
            **seconds,
        }

    def _cpus(self, cores: int | None) -> list[int] | None:
        """The cores that the run is kept to, taken in turn; None where it may have all."""
        if cores is None or not hasattr(os, "sched_getaffinity"):
            return None
        ours = sorted(os.sched_getaffinity(0))
        if cores >= len(ours):
            return None
        first = next(self._turn) * cores
        return [ours[(first + each) % len(ours)] for each in range(cores)]

    def _look(self, run_id: RunId) -> RunStatus:
        """The state, by the folder and the lock in it; usage only of what has ended."""
        started = self._facts(run_id, "started.json")
        pid = started["pid"] if started is not None else None
        exited = self._facts(run_id, "exited.json")
        if exited is not None:
            return _exited(run_id, pid, exited)
        if self._facts(run_id, "gone.json") is None and self._has_warden(run_id):
            state = RunState.STARTING if started is None else RunState.RUNNING
            return RunStatus(run_id=run_id, state=state, pid=pid)
        exited = self._facts(run_id, "exited.json")  # it may have ended while we looked
        return self._gone(run_id) if exited is None else _exited(run_id, pid, exited)

    def _measured(self, status: RunStatus) -> RunStatus:
        """``status`` with what its processes, all that is below its warden, used up to now."""
        started = self._facts(status.run_id, "started.json")
        if started is None:  # forgotten just now
            return status
        beat = self._facts(status.run_id, "beat.json") or {"peak": 0}
        found, warden = processes.tree(started["warden"]), processes.look(started["warden"])
        rss = sum(process.rss for process in found)
        spent = sum(process.cpu + process.reaped for process in found)
        return replace(
            status,
            rss_bytes=rss,
            peak_rss_bytes=max(rss, beat["peak"]),
            cpu_seconds=spent + (warden.reaped if warden is not None else 0.0),
            elapsed_seconds=max(moment() - started["began"], 0.0),
        )

    def _has_warden(self, run_id: RunId) -> bool:
        """Whether a warden lives, or may still come; if not, none ever will.

        Who holds the lock knows that there is no warden. One that comes later finds ``gone.json``
        and starts nothing.
        """
        with self._lock:
            ours = self._wardens.get(run_id)
        order = self._facts(run_id, "order.json")
        if order is None:
            return False
        lives = ours is not None and ours.process.poll() is None
        young = order["boot"] == boot() and moment() - order["launched"] < _UNBORN
        unborn = ours is None and young and self._facts(run_id, "started.json") is None
        if lives or unborn:
            return True
        held = facts.lock(self._home(run_id), wait=False)
        if held is None:
            return True
        try:
            return not clear(self._home(run_id), run_id)
        finally:
            os.close(held)

    def _ask_to_stop(self, run_id: RunId, grace: float, reason: str) -> None:
        """Let the end begin: a second call can only hasten it, the first reason stays."""
        kill_at = moment() + grace
        before = self._facts(run_id, "stop") or {"reason": reason, "kill_at": kill_at}
        stop = {"reason": before["reason"], "kill_at": min(before["kill_at"], kill_at)}
        with self._lock:
            ours = self._wardens.get(run_id)
        started = self._facts(run_id, "started.json")
        try:
            facts.write(self._home(run_id), "stop", stop)
        except OSError as error:  # a full disk; the warden uses its own grace then
            log.warning("no stop file", extra={"run": run_id, "reason": error.strerror})
            ours = None
        if ours is not None:
            ours.tell(b"")
        elif started is not None and is_still(started, "warden"):
            processes.send(started["warden"], signal.SIGTERM)

    def _kill_warden(self, run_id: RunId) -> None:
        with self._lock:
            ours = self._wardens.get(run_id)
        started = self._facts(run_id, "started.json")
        if ours is not None:
            ours.process.kill()
            ours.process.wait()
        elif started is not None and is_still(started, "warden"):
            processes.send(started["warden"], signal.SIGKILL)

    def _ends_within(self, run_id: RunId, seconds: float) -> bool:
        return until(lambda: self._look(run_id).state.ended, seconds)

    def _gone(self, run_id: RunId) -> RunStatus:
        reason = self._facts(run_id, "gone.json") or {"reason": None}
        beat = self._facts(run_id, "beat.json")
        gone = RunStatus(run_id=run_id, state=RunState.GONE, reason=reason["reason"])
        if beat is None:
            return gone
        return replace(
            gone,
            peak_rss_bytes=beat["peak"],
            cpu_seconds=beat["cpu"],
            elapsed_seconds=beat["elapsed"],
        )

    def _home(self, run_id: RunId) -> str:
        return str(self._root / run_id)

    def _facts(self, run_id: RunId, name: str) -> dict[str, Any] | None:
        return facts.read(self._home(run_id), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Warden:
    """A warden that this service started, and the pipe to it."""

    process: subprocess.Popen[bytes]
    leased: bool

    def tell(self, line: bytes) -> None:
        """Write one line; a warden that is gone needs no order."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def leave(self) -> None:
        """Let it live on without us."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.returncode = 0  # that nobody waits for it is no mistake

    def bury(self) -> None:
        """Wait for its end, which follows at once on that of its run."""
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def _exited(run_id: RunId, pid: int | None, exited: dict[str, Any]) -> RunStatus:
    return RunStatus(
        run_id=run_id,
        state=RunState.EXITED,
        exit_code=exited["code"],
        reason=exited["reason"],
        pid=pid,
        peak_rss_bytes=exited["peak"],
        cpu_seconds=exited["cpu"],
        elapsed_seconds=exited["elapsed"],
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
