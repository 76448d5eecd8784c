from __future__ import annotations

from pathlib import Path

import pytest

from dli.cli.checks import Check, run_checks
from dli.settings.loading import load


def tasks(home: Path, **settings: object) -> Check:
    answers = run_checks(load(home=home, port=0, **settings), {}, engines=False)
    return next(answer for answer in answers if answer.name == "tasks")


def test_tasks_are_off_unless_commands_are_named(tmp_path: Path) -> None:
    answer = tasks(tmp_path)
    assert (answer.good, answer.told) == (True, "off: task_commands names none")


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    answer = tasks(tmp_path, task_commands=("no-such-program",))
    assert (answer.good, "no-such-program" in answer.told) == (False, True)


def test_limits_without_a_sandbox_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meant = tasks(tmp_path, task_commands=("/bin/cat",), task_sandbox="off")
    assert (meant.good, meant.told) == (True, "/bin/cat; limits")
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = tasks(tmp_path, task_commands=("/bin/cat",))
    assert (answer.good, answer.told) == (None, "/bin/cat; limits only, no sandbox")


def test_pods_need_no_command_of_this_machine(tmp_path: Path) -> None:
    pods = {"launcher": "kubernetes", "task_commands": ("no-such-program",)}
    answer = tasks(tmp_path, **pods, task_images=("debian:*",))
    assert (answer.good, answer.told) == (True, "no-such-program, debian:*; pods")
