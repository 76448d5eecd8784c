"""Tasks over HTTP: bytes in, a command in its sandbox, bytes out."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import Service, in_process

pytestmark = pytest.mark.xdist_group("tasks")

PYTHON = f"{sys.base_prefix}/bin/python3"
COMMANDS = ("cat", "sh", PYTHON, "other:sort")
SANDBOXES = ["off"] + (["require"] if shutil.which("bwrap") else [])


@pytest.fixture(scope="module", params=SANDBOXES)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("tasks")
    readable = (Path(sys.base_prefix),)
    with in_process(
        home, task_commands=COMMANDS, task_sandbox=request.param, task_paths=readable
    ) as made:
        yield made


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as made:
        yield made


def task(client: httpx.Client, *command: str, **more: Any) -> dict[str, Any]:
    """A task at its end."""
    answer = client.post("/tasks", json={"command": command, "wait": "30s", **more})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def output(client: httpx.Client, told: dict[str, Any], name: str = "stdout") -> bytes:
    answer = client.get(f"/tasks/{told['id']}/output", params={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.content


def log(client: httpx.Client, told: dict[str, Any]) -> str:
    return client.get(f"/jobs/{told['id']}/logs", params={"stream": "stderr"}).text


def test_bytes_go_through_a_command(client: httpx.Client) -> None:
    given = bytes(range(256)) * 10
    sha256 = client.post("/files", content=given).json()["sha256"]
    told = task(client, "cat", stdin={"sha256": sha256}, max_cost="0")
    assert (told["kind"], told["state"], told["name"]) == ("task", "finished", "cat")
    assert output(client, told) == given
    [kept] = told["facts"]["outputs"]
    assert (kept["name"], kept["size"]) == ("stdout", len(given))
    assert kept["sha256"] == hashlib.sha256(given).hexdigest()
    assert told["attempts"][0]["exit_code"] == 0
    assert told["usage"]["cu_milliseconds"] > 0


def test_bytes_come_back_with_the_answer(client: httpx.Client) -> None:
    body = {"command": ["sh", "-c", "echo back"], "wait": "30s"}
    answer = client.post("/tasks", json=body, headers={"Accept": "application/octet-stream"})
    assert (answer.status_code, answer.content) == (200, b"back\n")
    assert answer.headers["DLI-Job"].startswith("tsk_")
    body["command"] = ["sh", "-c", "exit 3"]
    answer = client.post("/tasks", json=body, headers={"Accept": "application/octet-stream"})
    assert answer.json()["state"] == "failed"


def test_a_form_brings_its_files(client: httpx.Client) -> None:
    asked: dict[str, Any] = {"command": ["sh", "-c", "cat - one"], "wait": "30s"}
    asked |= {"stdin": {"part": "in"}, "files": [{"part": "one"}]}
    parts: Any = [
        ("task", (None, json.dumps(asked))),
        ("files", ("in", b"first ")),
        ("files", ("one", b"second")),
    ]
    answer = client.post("/tasks", files=parts)
    assert answer.status_code == 200, answer.text
    assert output(client, answer.json()) == b"first second"


def test_files_that_a_command_leaves_are_kept(client: httpx.Client) -> None:
    script = "mkdir -p out/deep; echo a > out/a.csv; echo b > out/deep/b.csv; ln -s /etc/passwd p"
    told = task(client, "sh", "-c", script, outputs=["out/**/*.csv", "p*"])
    names = [each["name"] for each in told["facts"]["outputs"]]
    assert names == ["out/a.csv", "out/deep/b.csv", "stdout"]
    assert output(client, told, "out/deep/b.csv") == b"b\n"
    answer = client.get(f"/tasks/{told['id']}/output", params={"name": "p"})
    assert (answer.status_code, answer.json()["code"]) == (404, "output_not_found")


def test_what_one_task_leaves_is_what_another_reads(client: httpx.Client) -> None:
    first = task(client, "sh", "-c", "echo hello > a.txt", outputs=["a.txt"])
    uri = first["facts"]["outputs"][0]["uri"]
    second = task(client, "sh", "-c", "cat; cat a.txt", stdin=uri, files=[uri])
    assert output(client, second) == b"hello\nhello\n"


def test_a_part_of_an_output_can_be_read(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "printf 0123456789")
    path = f"/tasks/{told['id']}/output"

    def part(range_: str) -> tuple[int, bytes, str | None]:
        answer = client.get(path, headers={"Range": range_})
        return answer.status_code, answer.content, answer.headers.get("Content-Range")

    assert part("bytes=2-4") == (206, b"234", "bytes 2-4/10")
    assert part("bytes=7-") == (206, b"789", "bytes 7-9/10")
    assert part("bytes=-2") == (206, b"89", "bytes 8-9/10")
    assert part("bytes=10-") == (416, b"", "bytes */10")
    assert part("rows=1-2")[0] == 400


def test_an_empty_output_is_one(client: httpx.Client) -> None:
    assert output(client, task(client, "sh", "-c", "true")) == b""


def test_a_failing_command_tells_its_code_and_its_output(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "echo half; echo oh no >&2; exit 3")
    assert (told["state"], told["error"]["code"]) == ("failed", "task_failed")
    assert told["error"]["message"] == "the command ended with exit code 3: oh no"
    assert told["error"]["details"]["exit_code"] == 3
    assert output(client, told) == b"half\n"
    assert log(client, told) == "oh no\n"


def test_a_command_off_the_list_is_refused(client: httpx.Client) -> None:
    answer = client.post("/tasks", json={"command": ["/usr/bin/id"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "command_refused")
    answer = client.post("/tasks", json={"command": ["sort"]})
    assert answer.status_code == 403, "it is another project's"


def test_an_image_is_refused(client: httpx.Client) -> None:
    answer = client.post("/tasks", json={"command": ["cat"], "image": "debian:12"})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_unsupported")
    assert "kubernetes launcher" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "command: field required"),
        ({"command": []}, "command"),
        ({"command": ["cat"], "outputs": ["../x"]}, "'../x' is no pattern"),
        ({"command": ["cat"], "outputs": ["/etc/passwd"]}, "is no pattern"),
        ({"command": ["cat"], "environment": {"LD_PRELOAD": "x"}}, "not yours to set"),
        ({"command": ["cat"], "memory": "1KiB"}, "memory: is from 16 MiB"),
        ({"command": ["cat"], "max_output": "1TiB"}, "max_output: at most"),
        ({"command": ["cat"], "stdin": {"part": "in"}}, "there is no form with a file 'in'"),
        ({"command": ["cat"], "comand": "x"}, "comand: is not a known field"),
    ],
)
def test_what_is_wrong_is_named(client: httpx.Client, body: dict[str, Any], said: str) -> None:
    answer = client.post("/tasks", json=body)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["detail"]


def test_a_command_over_its_memory_is_ended_and_gets_twice(client: httpx.Client) -> None:
    script = "import time; kept = bytearray(150 << 20); time.sleep(2)"
    told = task(client, PYTHON, "-c", script, memory="100MiB", retry={"pause": "100ms"})
    assert told["state"] == "finished", told["error"]
    assert [each["reason"] for each in told["attempts"]] == ["memory", "ended"]


def test_a_command_that_had_too_little_gets_more_the_next_time(client: httpx.Client) -> None:
    script = "import time; kept = bytearray(1100 << 20); time.sleep(2)"
    first = task(client, PYTHON, "-c", script, retry={"attempts": 1})
    assert first["error"]["code"] == "task_out_of_memory"
    second = task(client, PYTHON, "-c", script)
    assert second["state"] == "finished"
    assert second["spec"]["size"]["memory_bytes"] == 2 << 30
    assert "out of memory" in second["spec"]["size_reason"]


def test_a_command_over_its_memory_can_fail_for_good(client: httpx.Client) -> None:
    script = "import time; kept = bytearray(500 << 20); time.sleep(5)"
    told = task(client, PYTHON, "-c", script, memory="50MiB", retry={"attempts": 1})
    assert (told["state"], told["error"]["code"]) == ("failed", "task_out_of_memory")


def test_a_command_that_was_killed_may_have_used_little(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "kill -9 $$", retry={"attempts": 1})
    assert "was killed (signal 9), most likely" in told["error"]["message"]


def test_a_command_that_writes_too_much_is_ended(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "while :; do cat /dev/zero; done", max_output="1MiB")
    assert (told["state"], told["error"]["code"]) == ("failed", "task_output")


def test_a_missing_output_is_a_failure(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "true", outputs=["result.csv", "maybe*"])
    assert told["error"]["message"] == "the program did not leave a file 'result.csv'"


def test_the_environment_is_its_own(client: httpx.Client) -> None:
    told = task(client, PYTHON, "-c", "import os; print(*sorted(os.environ))",
                environment={"COLOUR": "blue"})  # fmt: skip
    names = output(client, told).decode().split()
    assert "COLOUR" in names
    ours = {"COLOUR", "DLI_RUN_ID", "HOME", "LC_ALL", "LC_CTYPE", "PATH", "PWD", "TMPDIR", "TZ"}
    assert set(names) <= ours


def test_the_same_key_is_the_same_task(client: httpx.Client) -> None:
    body = {"command": ["sh", "-c", "date +%N"], "wait": "30s"}
    answers = [
        client.post("/tasks", json=body, headers={"Idempotency-Key": "once"}).json()
        for _ in range(2)
    ]
    assert answers[0]["id"] == answers[1]["id"]


def test_output_is_there_when_the_task_has_ended(client: httpx.Client) -> None:
    told = client.post("/tasks", json={"command": ["sh", "-c", "sleep 1000"]}).json()
    answer = client.get(f"/tasks/{told['id']}/output")
    assert (answer.status_code, answer.json()["code"]) == (404, "output_not_found")
    client.post(f"/jobs/{told['id']}/cancel")
    answer = client.get(f"/jobs/{told['id']}", params={"wait": "30s"})


def test_the_sandbox_hides_the_service(service: Service, client: httpx.Client) -> None:
    script = f"cat {service.home}/token; ls /proc | grep -c '^[0-9]'; touch /usr/x; id -u; pwd"
    told = task(client, "sh", "-c", script)
    sandbox = told["facts"]["sandbox"]
    assert service.services is not None
    if sandbox == "limits":
        assert service.token.encode() in output(client, told)
        return
    lines = output(client, told).decode().split()
    assert int(lines[0]) < 10
    assert lines[1:] == ["1000", "/task"]
    assert "Read-only file system" in log(client, told)


def test_the_sandbox_has_no_network(client: httpx.Client) -> None:
    script = "import socket; print([name for _, name in socket.if_nameindex()])"
    told = task(client, PYTHON, "-c", script)
    if told["facts"]["sandbox"] == "bubblewrap":
        assert output(client, told) == b"['lo']\n"


def test_without_a_list_there_are_no_tasks(tmp_path: Path) -> None:
    with in_process(tmp_path) as service, service.client() as client:
        answer = client.post("/tasks", json={"command": ["cat"]})
        assert (answer.status_code, answer.json()["code"]) == (403, "command_refused")
        assert "task_commands" in answer.json()["hint"]
