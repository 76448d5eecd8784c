"""The main process of a pod: it brings what a run needs, watches it, and takes away what it made.

Started as ``python -I porter.py HOME ORDER``. HOME is an empty volume that gets the shape of a
local run's folder (see ``warden``); ORDER is a file of a mounted secret. Beside what a warden is
ordered, it has:

- ``inputs``: a signed link to a tar of the run's ``work`` folder, or none;
- ``outputs``: a signed link that takes a tar of the exit facts, the log and of ``keeps``, or none;
- ``inherits``: whether the command gets the environment of the container's image too;
- ``passes``: the names of variables of the container that it gets, where they are;
- ``authorities``: a file of those whom a store's certificate may come from, or none: the system's;
- ``files``: small texts that are put into ``work``, by their names;
- ``window``: the port and the token by which the service looks in (see ``window``).

A run in a pod always has a lease, since no pipe leads to its service. What is known of the end is
the container's termination message as well, which is all that is left of a run without outputs.
Only the standard library: this starts before everything that somebody waits for.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import shutil
import signal
import ssl
import sys
import tarfile
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import facts  # type: ignore[import-not-found]
from identity import moment  # type: ignore[import-not-found]
from tars import Tar, below, unpack  # type: ignore[import-not-found]
from warden import Run  # type: ignore[import-not-found]

MESSAGE = os.environ.get("DLI_TERMINATION_LOG", "/dev/termination-log")
_NAMES = ("POD_IP", "POD_NAME", "POD_NAMESPACE", "NODE_NAME")
_BLOCK = 1 << 20
_PATIENCE = 900.0  # seconds for a store that does not answer
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_TIMEOUT = 30.0
_LOST = 125  # the exit code of a pod whose run could not begin, or whose outputs are lost


class TransferError(Exception):
    """The object store refused, or did not answer for too long."""


def main() -> int:
    """Run the order to its end; the exit code is the command's, 128 and more after a signal."""
    home, source = sys.argv[1:3]
    with open(source) as file:
        order: dict[str, Any] = json.load(file)
    signal.signal(signal.SIGTERM, lambda *_: _termed(home, order))
    held = facts.lock(home, wait=True)
    os.makedirs(order["directory"], mode=0o700, exist_ok=True)
    facts.write(home, "order.json", {"merged": order["merged"], "stdout": order["stdout"]})
    late = _late(order)
    facts.touch(home, "lease", moment() - order["age"] - late)
    for name, text in order["files"].items():
        with open(os.path.join(order["directory"], name), "w") as file:
            file.write(text)
    window = _Window(home, order)
    try:
        if order["age"] <= order["lease"] / 2 < order["age"] + late:
            window.open()
            _await_renewal(home, order["lease"])
        if order["inputs"]:
            window.open()
            _fetch(order, home)
        _complete(order)
        if facts.read(home, "stop") is None:
            run = Run(order, home)
            window.open()
            run.watch()
        ended = facts.read(home, "exited.json") or _never(home)
        if order["outputs"]:
            ended["kept"] = _send(order, home)
    except TransferError as error:
        ended = {"code": None, "reason": "inputs", "detail": str(error), "kept": False}
        _say(error)
    _tell(ended)
    assert held is not None
    code = ended["code"]
    return _LOST if code is None else code if code >= 0 else 128 - code


def _late(order: dict[str, Any]) -> float:
    """Seconds from the launch to this beginning, by two machines' clocks of the day."""
    made = order.get("made")
    return 0.0 if made is None else max(time.time() - made, 0.0)


def _await_renewal(home: str, seconds: float) -> None:
    """A run that begins late may be nobody's any more: it is stopped unless somebody renews it."""
    before, until = facts.touched(home, "lease"), moment() + seconds
    while facts.touched(home, "lease") == before and facts.read(home, "stop") is None:
        if moment() > until:
            facts.write(home, "stop", {"reason": "lease", "kill_at": moment()})
        select.select([], [], [], _PAUSES[0])


def members(home: str, keeps: list[str]) -> Iterator[tuple[str, str]]:
    """What is sent: path and name in the tar of each file and folder."""
    for name in sorted(os.listdir(home)):
        if name in {"exited.json", "order.json", "started.json"} or name.endswith(".log"):
            yield os.path.join(home, name), name
    yield from _kept(os.path.join(home, "work"), keeps, home)


def _kept(work: str, patterns: list[str], home: str) -> Iterator[tuple[str, str]]:
    """What fits a pattern, once; links lead nowhere."""
    import pathlib  # noqa: PLC0415  the command starts first

    seen: set[str] = set()
    for pattern in patterns:
        for path in sorted(pathlib.Path(work).glob(pattern)):
            direct = os.path.join(os.path.realpath(work), os.path.relpath(path, work))
            if os.path.realpath(path) != os.path.normpath(direct):
                continue
            for source, name in below(str(path), home):
                if name not in seen:
                    seen.add(name)
                    yield source, name


class _Window:
    """Opened once, on a thread of its own: loading what it needs must not delay the command."""

    def __init__(self, home: str, order: dict[str, Any]) -> None:
        self._home = home
        self._order = order
        self._opened = False

    def open(self) -> None:
        if self._opened:
            return
        self._opened = True
        import threading  # noqa: PLC0415  the command starts first

        threading.Thread(target=self._serve, name="window", daemon=True).start()

    def _serve(self) -> None:
        import window  # type: ignore[import-not-found]  # noqa: PLC0415  a third of our start

        window.serve(self._home, self._order["window"])


def _fetch(order: dict[str, Any], home: str) -> None:
    """Unpack the tar of the inputs into the run's folder."""

    def once() -> None:
        connection, target = _connected(order["inputs"], order.get("authorities"))
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"the store answers {answer.status} to a read of the run's files")
            with tarfile.open(fileobj=answer, mode="r|", bufsize=_BLOCK) as tar:
                unpack(tar, order["directory"])
        finally:
            connection.close()

    _patiently(once, home)


def _send(order: dict[str, Any], home: str) -> bool:
    """Put the outputs behind their link; false where the store does not take them."""
    tar = Tar(members(home, order["keeps"]))

    def once() -> None:
        connection, target = _connected(order["outputs"], order.get("authorities"))
        try:
            headers = {"Content-Length": str(tar.length)}
            connection.request("PUT", target, body=iter(tar), headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status not in {200, 201, 204}:
                raise OSError(f"the store answers {answer.status} to the run's outputs")
        finally:
            connection.close()

    try:
        _patiently(once, home)
    except TransferError as error:
        _say(error)
        return False
    return True


def _patiently(once: Any, home: str) -> None:
    """Again and again, until it works, for a quarter of an hour at most; or the run is stopped."""
    began, tries = time.monotonic(), 0
    while True:
        try:
            once()
            return
        except (OSError, http.client.HTTPException, tarfile.TarError) as error:
            over = time.monotonic() - began > _PATIENCE
            if over or (tries and facts.read(home, "stop") is not None):
                raise TransferError(str(error) or type(error).__name__) from error
        select.select([], [], [], _PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


def _connected(link: str, authorities: str | None) -> tuple[http.client.HTTPConnection, str]:
    parts = urllib.parse.urlsplit(link)
    target = f"{parts.path}?{parts.query}"
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if authorities is not None and os.path.exists(authorities):
            context.load_verify_locations(authorities)
        return http.client.HTTPSConnection(parts.netloc, timeout=_TIMEOUT, context=context), target
    return http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT), target


def _complete(order: dict[str, Any]) -> None:
    """What only the pod knows: its names, its image's environment, and where a program lies."""
    if order.get("inherits"):
        order["environment"] = {**_inherited(), **order["environment"]}
    given = {name: os.environ[name] for name in order.get("passes", ()) if name in os.environ}
    order["environment"] = {**given, **order["environment"]}
    program, *words = (_expanded(word) for word in order["command"])
    if "/" not in program:
        path = order["environment"].get("PATH", os.defpath)
        # Where it is nowhere, the failure is told as that of a path, and no file of the folder that
        # the command begins in can take its place.
        missing = os.path.join(path.split(os.pathsep)[0] or "/", program)
        program = shutil.which(program, path=path) or missing
    order["command"] = [program, *words]


def _inherited() -> dict[str, str]:
    """The environment that the image gives, without what was added for us."""
    ours = {*_NAMES, "DLI_TERMINATION_LOG"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("KUBERNETES_")
    }


def _expanded(word: str) -> str:
    """What only the pod knows of itself, for whom the planner wrote ``$(POD_IP)``."""
    for name in _NAMES:
        word = word.replace(f"$({name})", os.environ.get(name, ""))
    return word


def _termed(home: str, order: dict[str, Any]) -> None:
    """SIGTERM before the run began: it never will."""
    if facts.read(home, "stop") is None:
        facts.write(home, "stop", {"reason": "stopped", "kill_at": moment() + order["grace"]})


def _never(home: str) -> dict[str, Any]:
    """The facts of a run that was stopped before it began."""
    stop = facts.read(home, "stop") or {"reason": None}
    ended = {"code": None, "reason": stop["reason"], "elapsed": 0.0, "at": time.time()}
    ended |= {"cpu": 0.0, "peak": 0}
    facts.write(home, "exited.json", ended)
    return ended


def _tell(ended: dict[str, Any]) -> None:
    """The termination message; where there is no such file, the exit code has to do."""
    try:
        with open(MESSAGE, "w") as file:
            json.dump(ended, file)
    except OSError as error:
        _say(f"no termination message: {error.strerror}")


def _say(what: object) -> None:
    """For those who read the container's log."""
    sys.stderr.write(f"dli: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
