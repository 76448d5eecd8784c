"""The porter as a process of its own, with a store on loopback, as it is in a pod."""

from __future__ import annotations

import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.engines.ports import free_port
from jobs.launchers import facts
from jobs.launchers.identity import moment
from jobs.launchers.pod import porter as module
from jobs.launchers.segments import read_log
from jobs.launchers.windows import WindowClosedError, Windows
from tests.support.runs import eventually

TOKEN = "a token"


class Store(http.server.ThreadingHTTPServer):
    """Takes and gives objects by path; refuses as often as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Objects)
        self.objects: dict[str, bytes] = {}
        self.refusals = 0

    def link(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}?signed=yes"


class _Objects(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        self._answer(self.server.objects.get(self.path.partition("?")[0]))

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self._may():
            self.server.objects[self.path.partition("?")[0]] = data
        self._answer(b"" if not self.server.refusals else None)
        self.server.refusals = max(self.server.refusals - 1, 0)

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _may(self) -> bool:
        return not self.server.refusals

    def _answer(self, body: bytes | None) -> None:
        self.send_response(503 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def order_of(home: Path, *, port: int = 0, **more: Any) -> dict[str, Any]:
    """An order with all that it has, and ``more`` in the place of what it says."""
    return {
        "environment": {"PATH": os.environ["PATH"]},
        "directory": str(home / "work"),
        "workdir": str(home / "work"),
        **dict.fromkeys(("stdin", "stdout", "memory_bytes", "max_output_bytes", "cpus")),
        **dict.fromkeys(("open_files", "wrapper", "timeout", "inputs", "outputs")),
        "merged": True,
        "log_bytes": 1 << 20,
        "nice": 0,
        "grace": 2.0,
        "lease": 30.0,
        "age": 0.0,
        "echo": True,
        "inherits": False,
        "authorities": None,
        "keeps": [],
        "files": {},
        "window": {"port": port, "token": TOKEN, "host": "127.0.0.1"},
        **more,
    }


class Pod:
    """A porter with its folder, its order and its termination message."""

    def __init__(
        self, root: Path, script: str, given: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        """``given`` is put into the container's environment by others."""
        self.home, self.root = root / "run", root
        self.home.mkdir()
        self.port = free_port()
        order = order_of(
            self.home, **{"command": ["/bin/sh", "-c", script], "port": self.port, **more}
        )
        (root / "order.json").write_text(json.dumps(order))
        self.process = subprocess.Popen(
            [sys.executable, "-I", module.__file__, self.home, root / "order.json"],
            env={
                "DLI_TERMINATION_LOG": str(root / "message"),
                "POD_IP": "10.0.0.7",
                **(given or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def message(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.root / "message").read_text())
        return told

    def output(self) -> bytes:
        out, _ = self.process.communicate(timeout=30)
        return out

    def begun(self) -> None:
        eventually(lambda: read_log(str(self.home), "output", 0)[1])


def packed(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def test_exit_code_output_and_facts_are_told(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "echo out; echo err >&2; exit 7")
    assert pod.output() == b"out\nerr\n"
    assert pod.process.returncode == 7
    assert (pod.message["code"], pod.message["reason"]) == (7, None)
    assert pod.message["elapsed"] > 0.0


def test_only_the_pod_knows_its_address(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "echo $(POD_IP)")
    assert pod.output() == b"10.0.0.7\n"


def test_small_files_are_there_before_the_start(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "cat template.yaml", files={"template.yaml": "kind: Pod"})
    assert pod.output() == b"kind: Pod"


def test_inputs_are_brought_and_outputs_are_taken(tmp_path: Path, store: Store) -> None:
    store.objects["/in"] = packed({"given": b"a gift"})
    script = "mkdir out; tr a-z A-Z < given > out/made; ln -s /etc/passwd out/link; echo done"
    links: dict[str, Any] = {"inputs": store.link("in"), "outputs": store.link("out")}
    pod = Pod(tmp_path, script, keeps=["out", "not there"], **links)
    pod.output()
    assert pod.message["kept"] is True
    with tarfile.open(fileobj=io.BytesIO(store.objects["/out"])) as tar:
        names = tar.getnames()
        made = tar.extractfile("work/out/made")
        assert made is not None
        assert made.read() == b"A GIFT"
        log = tar.extractfile(next(name for name in names if name.endswith(".log")))
        assert log is not None
        assert log.read() == b"done\n"
    assert "work/given" not in names
    assert "work/out/link" not in names


def test_store_that_refuses_for_a_while_is_tried_again(tmp_path: Path, store: Store) -> None:
    store.refusals = 3
    pod = Pod(tmp_path, "echo done", outputs=store.link("out"))
    pod.output()
    assert pod.message["kept"] is True
    assert store.objects["/out"]


def test_stopped_run_does_not_wait_for_a_store(tmp_path: Path, store: Store) -> None:
    pod = Pod(tmp_path, "exec sleep 1000", inputs=store.link("nothing"))
    windows = Windows()
    eventually(lambda: _open(pod, windows))
    windows.stop(pod.address, TOKEN, reason="enough", grace=0.0)
    pod.output()
    assert (pod.message["code"], pod.message["reason"]) == (None, "inputs")
    assert pod.process.returncode == 125


def _open(pod: Pod, windows: Windows) -> bool:
    try:
        windows.status(pod.address, TOKEN)
    except WindowClosedError:
        return False
    return True


def test_window_tells_usage_and_log(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "echo one; echo two; while :; do :; done")
    windows = Windows()
    eventually(lambda: _open(pod, windows))
    eventually(lambda: windows.status(pod.address, TOKEN).get("cpu", 0.0) > 0.1)
    status = windows.status(pod.address, TOKEN)
    assert (status["state"], status["rss"] > 0, status["elapsed"] > 0.0) == ("running", True, True)
    part = windows.log(pod.address, TOKEN, stream="output", offset=4)
    assert (part.offset, part.data) == (4, b"two\n")
    windows.stop(pod.address, TOKEN, reason="enough", grace=1.0)
    pod.output()
    assert (pod.message["code"], pod.message["reason"]) == (-15, "enough")
    assert pod.process.returncode == 128 + 15


def test_window_is_shut_to_those_without_the_token(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "exec sleep 1000")
    windows = Windows()
    eventually(lambda: _open(pod, windows))
    for ask in (windows.status, lambda a, t: windows.stop(a, t, reason="mine", grace=0.0)):
        with pytest.raises(WindowClosedError, match="401"):
            ask(pod.address, "another")
    assert pod.process.poll() is None
    pod.process.terminate()
    pod.output()
    assert pod.message["reason"] == "stopped"


def test_lease_ends_a_pod_whose_service_is_gone(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "exec sleep 1000", lease=3.0, grace=0.5)
    windows = Windows()
    eventually(lambda: _open(pod, windows))
    windows.renew(pod.address, TOKEN, age=0.0)
    pod.output()
    assert pod.message["reason"] == "lease"


def test_leftovers_are_killed_before_outputs_are_taken(tmp_path: Path, store: Store) -> None:
    script = "setsid sh -c 'while :; do echo x >> out; done' & sleep 0.3; echo $!"
    pod = Pod(tmp_path, script, keeps=["out"], outputs=store.link("out"))
    pod.output()
    with tarfile.open(fileobj=io.BytesIO(store.objects["/out"])) as tar:
        assert tar.getmember("work/out").size == (pod.home / "work" / "out").stat().st_size


def test_a_name_is_looked_up_in_the_path_of_the_command(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "", command=["sh", "-c", "echo $0", "found"])
    assert pod.output() == b"found\n"


def test_a_name_that_is_nowhere_is_no_file_of_the_run(tmp_path: Path, store: Store) -> None:
    store.objects["/in"] = packed({"tool": b"#!/bin/sh\necho mine\n"})
    pod = Pod(
        tmp_path, "", command=["tool"], environment={"PATH": "/nowhere:."}, inputs=store.link("in")
    )
    assert pod.output() == b"cannot start /nowhere/tool: No such file or directory\n"
    assert pod.process.returncode == 127


def test_the_environment_of_the_image_is_below_that_of_the_run(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "env", inherits=True, environment={"PATH": "/usr/bin:/bin"})
    names = {line.partition("=")[0] for line in pod.output().decode().splitlines()}
    assert "PATH" in names
    assert not names & {"POD_IP", "DLI_TERMINATION_LOG"}


def test_variables_that_the_cluster_gave_are_handed_on_by_name(tmp_path: Path) -> None:
    passes, own = ["KEY", "ROLE", "NOWHERE"], {"PATH": "/usr/bin:/bin", "ROLE": "own"}
    given = {"KEY": "of the node", "ROLE": "of the node", "OTHER": "x"}
    pod = Pod(tmp_path, "env", given=given, passes=passes, environment=own)
    lines = pod.output().decode().splitlines()
    assert {"KEY=of the node", "ROLE=own"} <= set(lines), "the run's own go before them"
    assert not any(line.startswith(("OTHER=", "NOWHERE=")) for line in lines)


def test_what_fits_a_pattern_is_kept_once(tmp_path: Path, store: Store) -> None:
    script = "mkdir out; touch out/a.csv out/b.txt; ln -s /etc away"
    keeps = ["out/*.csv", "*/a.csv", "away/passwd"]
    pod = Pod(tmp_path, script, keeps=keeps, outputs=store.link("out"))
    pod.output()
    with tarfile.open(fileobj=io.BytesIO(store.objects["/out"])) as tar:
        assert [name for name in tar.getnames() if name.startswith("work")] == ["work/out/a.csv"]


def test_run_that_begins_late_waits_for_its_renewal(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "echo begun", lease=30.0, made=time.time() - 100)
    windows = Windows()
    eventually(lambda: _open(pod, windows))
    assert not (pod.home / "started.json").exists()
    windows.renew(pod.address, TOKEN, age=0.0)
    assert pod.output() == b"begun\n"
    assert pod.message["code"] == 0


def test_run_that_begins_late_and_is_nobodys_never_begins(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "echo begun", lease=3.0, made=time.time() - 100)
    assert pod.output() == b""
    assert (pod.message["code"], pod.message["reason"]) == (None, "lease")


def test_lease_counts_from_the_launch(tmp_path: Path) -> None:
    pod = Pod(tmp_path, "exec sleep 1000", grace=0.5, lease=100.0, made=time.time() - 49)
    eventually((pod.home / "started.json").exists)
    assert 49 <= moment() - (facts.touched(str(pod.home), "lease") or 0.0) < 60
    pod.process.terminate()
    pod.output()
