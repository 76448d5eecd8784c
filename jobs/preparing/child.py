"""One preparing child, as its parent holds it."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from jobs.preparing.messages import Answer, Ask, Ready, RelationKey
from storage.base.errors import UnavailableError

_START = 60.0  # seconds that a child may take to load
_SENT_KEPT = 4096  # keys


class ChildLostError(UnavailableError):
    """A preparing child died, or did not answer in its time."""

    code = "preparer_lost"


class Child:
    """Starts at once and loads in the background; the first question waits for that."""

    def __init__(self, *, limit: timedelta, memory: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # or a sql.py where the service was started would be ours
                    "-m",
                    "jobs.preparing.main",
                    str(theirs.fileno()),
                    str(limit // timedelta(milliseconds=1)),
                    str(memory),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        self._pipe = Connection(ours.detach())
        self._limit = limit.total_seconds()
        self._ready = False
        self._sent: OrderedDict[RelationKey, None] = OrderedDict()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def unknown(self, keys: Iterable[RelationKey]) -> frozenset[RelationKey]:
        """Which of ``keys`` this child was never sent, or so long ago that it may have dropped."""
        return frozenset(key for key in keys if key not in self._sent)

    def sent(self, keys: Iterable[RelationKey]) -> None:
        """Remember that the child has these."""
        for key in keys:
            self._sent[key] = None
            self._sent.move_to_end(key)
        while len(self._sent) > _SENT_KEPT:
            self._sent.popitem(last=False)

    def ask(self, question: Ask) -> Answer:
        """The child's answer. Raises ``ChildLostError`` and leaves the child unusable."""
        try:
            self._wait_until_ready()
            self._pipe.send_bytes(pickle.dumps(question, protocol=pickle.HIGHEST_PROTOCOL))
            if not self._pipe.poll(self._limit):
                raise ChildLostError("it took too long", reason="timeout")
            answer: Answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ChildLostError("the child that reads statements died", reason="died") from error
        return answer

    def close(self) -> None:
        """Kill the process and wait for its end. Twice is the same as once."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        if not self._ready:
            if not self._pipe.poll(_START) or not isinstance(self._pipe.recv(), Ready):
                raise ChildLostError("the child that reads statements does not start")
            self._ready = True


def _environment() -> dict[str, str]:
    """Ours, without secrets and extra threads, with the packages' place on the path."""
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED}
    root = str(Path(__file__).resolve().parents[2])
    return kept | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV", "SYSTEMROOT")
