"""The small parent of every local run: a run never outlives the service that started it.

Started as ``python -I -S warden.py``; its standard input is a pipe whose other end only the service
holds. The first line on it is the order (JSON), a later ``stop SECONDS`` ends the run, and the end
of the pipe, which even ``kill -9`` of the service brings about, ends it too. It leaves
``started.json`` and ``exited.json`` in the run's directory, each whole or not there, and the output
in segments named by the offset at which they begin.

The command gets a session of its own. On Linux it is killed by the kernel when the warden dies, and
the warden inherits whatever double-forks away from it. A second process of the service that was
forked may hold the pipe open, hence the look at the parent's pid each second.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from identity import group_alive, identity  # type: ignore[import-not-found]

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # prctl(2)


def main() -> int:
    """Run the order on standard input to its end; the exit code is of no meaning."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    order, rest = _order()
    if order is None:
        return 0
    os.chdir(order["directory"])
    return _Run(order, rest).watch()


class _Run:
    """One command, from its start to the last process of it."""

    def __init__(self, order: dict[str, Any], rest: bytes) -> None:
        self._parent = os.getppid()
        self._input = rest
        self._grace: float = order["grace"]  # for a stop that nobody asked for
        self._log = _Log(order["log_bytes"])
        self._kill_at: float | None = None
        self._asked = False  # stopping: SIGTERM has been sent
        self._code: int | None = None
        self._wake = _wake_on_signals()
        _prctl(_SUBREAPER, 1)
        self._output, self._pid = _spawn(order)
        facts = {"pid": self._pid, "pid_identity": identity(self._pid), "at": time.time()}
        facts |= {"warden": os.getpid(), "warden_identity": identity(os.getpid())}
        _write("started.json", facts)

    def watch(self) -> int:
        inputs = [0, self._output, self._wake]
        self._obey(b"")
        while self._code is None:
            timeout = 1.0 if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
            ready = select.select(inputs, [], [], min(timeout, 1.0))[0]
            if self._wake in ready:
                self._signals()
            if self._output in ready and not self._log.take(self._output):
                inputs.remove(self._output)
            if 0 in ready and not self._orders():
                inputs.remove(0)
                self._stop(self._grace)
            if os.getppid() != self._parent:
                self._stop(self._grace)
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                _signal_group(self._pid, signal.SIGKILL)
            self._reap()
        self._end(inputs)
        return 0

    def _end(self, inputs: list[int]) -> None:
        """Kill what the command left behind, keep the rest of its output, tell how it ended."""
        _signal_group(self._pid, signal.SIGKILL)
        for _ in range(200):
            left = _children()
            for pid in left:
                _signal(pid, signal.SIGKILL)
            self._reap()
            if not left and not group_alive(self._pid):
                break
            select.select([], [], [], 0.01)
        if self._output in inputs:
            os.set_blocking(self._output, False)
            self._log.drain(self._output)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = self._code if self._code is not None else 0
        facts = {"code": code, "at": time.time(), "stopped": self._asked}
        facts |= {"cpu": used.ru_utime + used.ru_stime}
        _write("exited.json", facts)

    def _orders(self) -> bool:
        """Read what the service says; False at the end of the pipe."""
        data = os.read(0, 4096)
        self._obey(data)
        return bool(data)

    def _obey(self, data: bytes) -> None:
        self._input += data
        while b"\n" in self._input:
            line, _, self._input = self._input.partition(b"\n")
            word, _, seconds = line.partition(b" ")
            if word == b"stop":
                self._stop(float(seconds))

    def _stop(self, grace: float) -> None:
        """SIGTERM at once, SIGKILL after ``grace``; a second call can only hasten the end."""
        kill_at = time.monotonic() + grace
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        if not self._asked:
            self._asked = True
            _signal_group(self._pid, signal.SIGTERM)

    def _signals(self) -> None:
        if bytes([signal.SIGTERM]) in os.read(self._wake, 512):
            self._stop(self._grace)

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


class _Log:
    """The last bytes of the output, between half of ``limit`` and all of it, in two segments."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._names: list[str] = []
        self._end = 0
        self._size = 0
        self._file = self._segment()

    def take(self, source: int) -> bool:
        """Move what is there from ``source`` to the log; False at its end."""
        data = os.read(source, 65536)
        while data:
            part, data = data[: self._half - self._size], data[self._half - self._size :]
            os.write(self._file, part)
            self._size += len(part)
            self._end += len(part)
            if self._size >= self._half:
                os.close(self._file)
                self._file = self._segment()
            if not data:
                return True
        return False

    def drain(self, source: int) -> None:
        try:
            while self.take(source):
                pass
        except BlockingIOError:
            return

    def _segment(self) -> int:
        name = f"output.{self._end:020d}.log"
        self._names.append(name)
        self._size = 0
        for old in self._names[:-2]:
            os.unlink(old)
        self._names = self._names[-2:]
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


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


def _spawn(order: dict[str, Any]) -> tuple[int, int]:
    """Start the command in a session of its own; its output's pipe and its pid.

    Returns when it has its session, or a stop that follows at once would find no group.
    """
    source, sink = os.pipe()
    begun, beginning = os.pipe()  # closed by exec
    pid = os.fork()
    if pid:
        os.close(sink)
        os.close(beginning)
        os.read(begun, 1)
        os.close(begun)
        return source, pid
    try:  # the child: nothing but system calls until exec
        os.setsid()
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, origin in ((0, nothing), (1, sink), (2, sink)):
            os.dup2(origin, target)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot start {order['command'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _wake_on_signals() -> int:
    """A pipe that becomes readable when a child ends or SIGTERM comes."""
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    signal.set_wakeup_fd(sink)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return source


def _children() -> list[int]:
    """Our direct children, Linux only: the orphans among the command's descendants come to us."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _prctl(option: int, value: int) -> None:
    """Set a property of this process on Linux; elsewhere there is nothing like it."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  not needed elsewhere, and a third of the start's time

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _write(name: str, facts: dict[str, Any]) -> None:
    """Put the facts there, whole or not at all."""
    with open(f".{name}", "w") as file:
        json.dump(facts, file)
    os.replace(f".{name}", name)


if __name__ == "__main__":
    sys.exit(main())
