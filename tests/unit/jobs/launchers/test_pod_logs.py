"""What is told of the log of a run whose porter does not answer any more."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers import pod_logs
from jobs.launchers.api import LogStream, RunState
from jobs.launchers.pod_known import Known
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.segments import PART
from storage.base.ids import RunId
from storage.objects.memory import MemoryStore
from tests.support.api_servers import ApiServer, launcher_of, leased, living
from tests.support.runs import eventually

RUN = RunId("run_a_1")
LEFT = f"runs/{RUN}/out.tar"
FILES = {
    "order.json": json.dumps({"merged": False, "stdout": None}).encode(),
    "stderr.00000000000000000000.log": b"hm\n",
    "stdout.00000000000000000100.log": b"the end\n",
}


class Store(MemoryStore):
    """With links that nobody follows; counts what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0

    def link(self, key: str, *, method: str, lasts: timedelta) -> str:
        return f"http://127.0.0.1:9/{key}?{method}={lasts}"

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.fetched += 1
        return super().get(key, start=start, length=length)

    def leave(self, files: dict[str, bytes]) -> None:
        """As the porter does before it falls silent."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self.put(LEFT, packed.getvalue())


def silent(state: dict[str, Any], phase: str = "Running") -> dict[str, Any]:
    """A pod at whose address nobody listens."""
    made = living("a")
    made["status"] = {
        "phase": phase,
        "podIP": "127.77.0.1",
        "containerStatuses": [{"name": "run", "state": state}],
    }
    return made


STARTED = "2026-11-29T06:00:01Z"
RUNNING = silent({"running": {"startedAt": STARTED}})
OVER = {"startedAt": STARTED, "finishedAt": STARTED, "exitCode": 0}
OVER |= {"message": json.dumps({"code": 0, "reason": None, "kept": True})}
ENDING = silent({"terminated": OVER})  #: the node told it of the container, and not yet of the pod
ENDED = silent({"terminated": OVER}, "Succeeded")


def log(launcher: KubernetesLauncher, stream: LogStream, offset: int = 0) -> tuple[int, bytes]:
    part = launcher.logs(RUN, stream=stream, offset=offset)
    return part.offset, part.data


@pytest.mark.parametrize("pod", [RUNNING, ENDING, ENDED])
def test_log_is_never_nowhere(api: ApiServer, tmp_path: Path, pod: dict[str, Any]) -> None:
    """The porter is silent, and nobody has asked yet how the run is."""
    api.pages, store = [[pod]], Store()
    store.leave(FILES)
    with launcher_of(api, tmp_path, store=store) as launcher:
        launcher._memory.keep(RUN, Known(token="t"))
        assert log(launcher, LogStream.STDOUT) == (100, b"the end\n")
        assert log(launcher, LogStream.STDOUT, 104) == (104, b"end\n")
        assert log(launcher, LogStream.STDERR) == (0, b"hm\n")
        assert log(launcher, LogStream.STDERR, 3) == (3, b"")


def test_output_that_is_a_file_is_told_as_well(api: ApiServer, tmp_path: Path) -> None:
    store = Store()
    with launcher_of(api, tmp_path, store=store) as launcher:
        out = launcher.directory(RUN) / "stdout"
        order = json.dumps({"merged": False, "stdout": str(out)}).encode()
        store.leave({"order.json": order, "work/stdout": b"all of it"})
        launcher._memory.keep(RUN, Known(token="t"))
        api.tell("ADDED", RUNNING)
        eventually(lambda: log(launcher, LogStream.STDOUT, 4) == (4, b"of it"))
        assert log(launcher, LogStream.STDERR) == (0, b"")


def test_porter_that_is_only_silent_is_asked_again(api: ApiServer, tmp_path: Path) -> None:
    api.pages, store = [[RUNNING]], Store()
    with launcher_of(api, tmp_path, store=store) as launcher:
        launcher._memory.keep(RUN, Known(token="t"))
        assert log(launcher, LogStream.STDERR, 1) == (1, b"")
        assert not (launcher.directory(RUN).parent).exists(), "nothing of it is here"
        store.leave(FILES)
        eventually(lambda: log(launcher, LogStream.STDERR, 1) == (1, b"m\n"))
        assert launcher.status(RUN).state is RunState.RUNNING, "its end is the cluster's to tell"


def test_what_was_left_is_fetched_once(api: ApiServer, tmp_path: Path) -> None:
    api.pages, store = [[ENDED]], Store()
    store.leave(FILES)
    with launcher_of(api, tmp_path, store=store) as launcher:
        for stream in LogStream:
            log(launcher, stream)
        assert launcher.status(RUN).state is RunState.EXITED
        assert log(launcher, LogStream.STDERR) == (0, b"hm\n")
        assert store.fetched == 1
        launcher.forget(RUN)
        assert not launcher.directory(RUN).parent.exists()
        assert list(store.list("runs/")) == []


def test_disk_that_does_not_take_it_is_no_failure(api: ApiServer, tmp_path: Path) -> None:
    api.pages, store = [[RUNNING]], Store()
    store.leave(FILES)
    with launcher_of(api, tmp_path, store=store) as launcher:
        launcher._memory.keep(RUN, Known(token="t"))
        (launcher.directory(RUN).parent / "stderr.00000000000000000000.log").mkdir(parents=True)
        assert log(launcher, LogStream.STDOUT, 7) == (7, b"")


def test_much_is_left_for_who_wants_the_end(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_logs, "_SOON", 1024)
    api.pages, store = [[ENDED]], Store()
    store.leave(FILES)
    with launcher_of(api, tmp_path, store=store) as launcher:
        assert log(launcher, LogStream.STDERR) == (0, b"")
        assert launcher.status(RUN).state is RunState.EXITED
        assert log(launcher, LogStream.STDERR) == (0, b"hm\n")


def test_run_that_has_not_begun_has_no_log(api: ApiServer, tmp_path: Path) -> None:
    store = Store()
    with launcher_of(api, tmp_path, store=store) as launcher:
        made = leased(launcher, "a")
        launcher.launch(made)
        store.leave(FILES)
        assert log(launcher, LogStream.STDERR) == (0, b"")
        assert store.fetched == 0


def test_engine_that_died_told_why_last(api: ApiServer, tmp_path: Path) -> None:
    """It leaves nothing, so its container's log is all that there is of it, and may be long."""
    with launcher_of(api, tmp_path, store=Store()) as launcher:
        made = replace(leased(launcher, "a"), merged=True, lease=None)
        launcher.launch(made)
        api.log = b"x" * PART + b"no memory"
        api.tell("MODIFIED", ENDED)
        eventually(lambda: log(launcher, LogStream.STDOUT)[1].endswith(b"no memory"))
        assert log(launcher, LogStream.STDOUT) == (9, api.log[9:])
