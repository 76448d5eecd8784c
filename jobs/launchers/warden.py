"""The small parent of every local run: it measures the run, ends it, and tells how it ended.

Started as ``python -I -S warden.py FOLDER``. Its standard input is a pipe whose other end only the
service holds: the first line is the order (JSON, with secrets, hence no file). A run without a
lease ends with that pipe, which even ``kill -9`` of the service brings about. A run with a lease
lives on while the file ``lease`` is touched: it outlives a restart of the service, and no more. The
file ``stop`` ends either; a byte on the pipe, or SIGTERM, lets the warden look at once.

It holds the folder's lock as long as it lives, and leaves there: ``started.json``, ``beat.json``
(each second, and when a process came or went: what is known of a run whose warden was killed),
``exited.json``, which is written when nothing of the run is left, and the output in segments.

The command gets a session of its own. On Linux it is killed by the kernel when the warden dies, and
the warden inherits whatever double-forks away from it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import facts  # type: ignore[import-not-found]
import processes  # type: ignore[import-not-found]
from identity import boot, group_alive, identity, moment  # type: ignore[import-not-found]
from segments import SegmentLog  # type: ignore[import-not-found]
from watcher import Watcher  # type: ignore[import-not-found]

_SUBREAPER, _DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 36, 1, 38  # prctl(2)
_BEAT = 1.0  # seconds between two beats; what may be lost of a run's usage
_MARGIN = 0.2  # seconds from SIGKILL to the end of a lease
_AGAIN = 0.25  # seconds between two kills of what does not end
_PERSISTENT = 300  # tries, one a second, to write the end on a disk that takes nothing


def main() -> int:
    """Run the order on standard input to its end; the exit code is of no meaning."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    home = sys.argv[1]
    held = facts.lock(home, wait=True)
    if facts.read(home, "gone.json") is not None:  # the service gave the run up before we came
        return 0
    order, rest = _order()
    if order is not None and facts.read(home, "stop") is None:
        Run(order, home, leftover=rest).watch()
    os.close(held)
    return 0


class Run:
    """One command, started at once, and watched to the last process of it.

    ``leftover`` is what came on standard input behind the order.
    """

    def __init__(self, order: dict[str, Any], home: str, *, leftover: bytes = b"") -> None:
        self._order = order
        self._home = home
        self._parent = os.getppid()
        self._leased = order["lease"] is not None
        self._grace: float = order["grace"]
        self._kill_at: float | None = None
        self._reason: str | None = None
        self._termed = False
        self._code: int | None = None
        self._watcher = Watcher(order)
        self._wake = _wake_on_signals()
        _prctl(_SUBREAPER, 1)
        self._began = moment()
        self._pid, self._logs = _spawn(order, home)
        self._beat_at = self._began + _BEAT
        self._over_at = self._began + (order["timeout"] or 1e9)
        started = {"pid": self._pid, "pid_identity": identity(self._pid), "at": time.time()}
        started |= {"boot": boot(), "began": self._began}
        started |= {"warden": os.getpid(), "warden_identity": identity(os.getpid())}
        facts.write(home, "started.json", started)
        if leftover:
            self._obey()

    def watch(self) -> None:
        """Until nothing of the run is left."""
        inputs = [0, self._wake, *self._logs]
        while self._code is None:
            now = moment()
            due = min(
                self._watcher.due, self._beat_at, self._over_at, self._kill_at or self._beat_at
            )
            ready = select.select(inputs, [], [], max(0.0, due - now))[0]
            for source in ready:
                if source == self._wake:
                    os.read(source, 512)
                    self._obey()
                elif source == 0:
                    self._service(inputs)
                elif not self._logs[source].take(source):
                    inputs.remove(source)
            self._duties()
            self._reap()
        self._end(inputs)

    def _duties(self) -> None:
        """What is due by the clock."""
        now, before = moment(), self._watcher.seen
        if now >= self._watcher.due:
            reason = self._watcher.look()
            if reason is not None:
                self._stop(reason, now)
        if now >= self._beat_at or self._watcher.seen != before:
            self._beat(now)
        if now >= self._beat_at:
            self._beat_at = now + _BEAT
            self._obey()
            self._check_service(now)
        if now >= self._over_at:
            self._over_at = now + 1e9
            self._stop("deadline", now + self._grace)
        if self._kill_at is not None and now >= self._kill_at:
            processes.kill_all(processes.tree(os.getpid()))
            _signal_group(self._pid, signal.SIGKILL)
            self._kill_at = now + _AGAIN  # again: one may just have been forked

    def _check_service(self, now: float) -> None:
        """End with the service, or with the lease that nobody renews."""
        if self._leased:
            kill_at = (facts.touched(self._home, "lease") or 0.0) + self._order["lease"] - _MARGIN
            term_at = kill_at - self._grace
            self._beat_at = min(self._beat_at, max(term_at, now + _MARGIN))
            if now >= term_at:
                self._stop("lease", max(now, kill_at))
        elif os.getppid() != self._parent:  # the pipe may be held by a fork of the service
            self._stop("orphaned", now + self._grace)

    def _service(self, inputs: list[int]) -> None:
        """Something on the pipe: look what is wanted; its end is the end of a run without lease."""
        if not os.read(0, 4096):
            inputs.remove(0)
            if not self._leased:
                self._stop("orphaned", moment() + self._grace)
        self._obey()

    def _obey(self) -> None:
        """Stop if a file says so, or a signal."""
        stop = facts.read(self._home, "stop")
        if stop is not None:
            self._stop(stop["reason"], stop["kill_at"])
        elif _asked_to_end():
            self._stop("stopped", moment() + self._grace)

    def _stop(self, reason: str, kill_at: float) -> None:
        """SIGTERM at once, SIGKILL at ``kill_at``; a second call can only hasten the end.

        Nothing is done to a command that has ended by itself, which is not told to have been ended.
        """
        self._reap()
        if self._code is not None:
            return
        self._reason = self._reason or reason
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        if not self._termed:
            self._termed = True
            if not processes.COMPLETE:
                _signal_group(self._pid, signal.SIGTERM)
                return
            for process in processes.tree(os.getpid()):
                if processes.program(process.pid) != self._order["wrapper"]:
                    processes.send(process.pid, signal.SIGTERM)

    def _reap(self) -> None:
        """Collect what has ended: the command, and orphans that became our children."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._code = os.waitstatus_to_exitcode(status)

    def _end(self, inputs: list[int]) -> None:
        """Kill what the command left behind, keep the rest of its output, tell how it ended."""
        elapsed = moment() - self._began
        self._watcher.look()
        pause = 0.002
        while left := processes.tree(os.getpid()):
            processes.kill_all(left)
            select.select([], [], [], pause)
            pause = min(pause * 2, _AGAIN)
            self._reap()
        if group_alive(self._pid):
            _signal_group(self._pid, signal.SIGKILL)
        for source, log in self._logs.items():
            if source in inputs:
                log.drain(source)
        if self._watcher.overwritten():
            self._reason = self._reason or "output"
        exited = {"code": self._code, "reason": self._reason, "elapsed": elapsed, "at": time.time()}
        exited |= self._watcher.used(final=True)
        for _ in range(_PERSISTENT):
            with contextlib.suppress(OSError):
                facts.write(self._home, "exited.json", exited)
                return
            select.select([], [], [], 1.0)

    def _beat(self, now: float) -> None:
        """What is known if this process is killed: usage so far, and whom to kill in that case."""
        beat = {"boot": boot(), "elapsed": now - self._began, **self._watcher.used(final=False)}
        beat["processes"] = self._watcher.seen
        with contextlib.suppress(OSError):  # a full disk
            facts.write(self._home, "beat.json", beat, lasting=False)


def _order() -> tuple[dict[str, Any] | None, bytes]:
    """The first line of standard input, and what came after it; None if the service died first."""
    data = b""
    while b"\n" not in data:
        part = os.read(0, 65536)
        if not part:
            return None, b""
        data += part
    line, _, rest = data.partition(b"\n")
    return json.loads(line), rest


def _spawn(order: dict[str, Any], home: str) -> tuple[int, dict[int, SegmentLog]]:
    """Start the command in a session of its own; its pid, and its output's pipes with their logs.

    Returns when it has its session, or a stop that follows at once would find no group.
    """
    kept = ["output"] if order["merged"] else ["stdout", "stderr"]
    pipes = {stream: os.pipe() for stream in kept if stream != "stdout" or not order["stdout"]}
    begun, beginning = os.pipe()  # closed by exec
    warden = os.getpid()
    pid = os.fork()
    if pid:
        for _, sink in pipes.values():
            os.close(sink)
        os.close(beginning)
        os.read(begun, 1)
        os.close(begun)
        return pid, {pipe[0]: _log(order, home, name) for name, pipe in pipes.items()}
    try:  # the child: nothing but system calls until exec
        os.setsid()
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != warden:
            os._exit(127)
        sinks = {stream: pipe[1] for stream, pipe in pipes.items()}
        errors = sinks["output"] if order["merged"] else sinks["stderr"]
        os.dup2(errors, 2)
        _confine(order)
        given = os.open(order["stdin"] or os.devnull, os.O_RDONLY)
        output = errors if order["merged"] else sinks.get("stdout")
        if output is None:
            output = os.open(order["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(given, 0)
        os.dup2(output, 1)
        os.chdir(order["workdir"])
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        where = f" ({error.filename})" if error.filename not in (None, order["command"][0]) else ""
        os.write(2, f"cannot start {order['command'][0]}: {error.strerror}{where}\n".encode())
    finally:
        os._exit(127)


def _log(order: dict[str, Any], home: str, name: str) -> SegmentLog:
    echo = (2 if name == "stderr" else 1) if order.get("echo") else None
    return SegmentLog(home, name, order["log_bytes"], echo=echo)


def _confine(order: dict[str, Any]) -> None:
    """The limits of the command, set in its own process before it begins."""
    if order["nice"]:
        os.nice(order["nice"])
    if order["cpus"]:
        os.sched_setaffinity(0, order["cpus"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order["open_files"] is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = order["open_files"]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if order["max_output_bytes"] is not None:
        most = order["max_output_bytes"] + 1  # the one byte more shows that there was more
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    _prctl(_NO_NEW_PRIVILEGES, 1)


_signalled: list[int] = []


def _asked_to_end() -> bool:
    return bool(_signalled)


def _wake_on_signals() -> int:
    """A pipe that becomes readable when a child ends or SIGTERM comes."""
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    signal.set_wakeup_fd(sink)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: _signalled.append(number))
    return source


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _prctl(option: int, value: int) -> None:
    """Set a property of this process on Linux; elsewhere there is nothing like it."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  not needed elsewhere, and a third of the start's time

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
