"""Named places to die at."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from jobs.crash import POINTS, VARIABLE, crash_point
from tests.e2e import test_crashes, test_pipelines, test_run_crashes, test_schedules

SCRIPT = """
from jobs.crash import crash_point
for name in ("after_claim", "after_bind", "after_claim"):
    crash_point(name)
    print(name, flush=True)
"""


def _run(place: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {VARIABLE: place},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for point in POINTS:
        crash_point(point)


def test_the_named_place_kills_the_process() -> None:
    done = _run("after_bind")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "after_claim\n")


def test_a_place_can_be_passed_before() -> None:
    done = _run("after_claim:2")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "after_claim\nafter_bind\n")


def test_every_place_is_in_the_code_and_listed() -> None:
    jobs = Path(__file__).parents[3] / "jobs"
    text = "\n".join(path.read_text() for path in jobs.rglob("*.py"))
    passed = set(re.findall(r'crash_point\("(\w+)"\)', text))
    assert passed == set(POINTS)


def test_every_place_has_a_test_that_dies_there() -> None:
    """Those that a test walks through by its parameter ``point``, or names; slow ones count."""
    walked: set[str] = set()
    for module in (test_crashes, test_run_crashes, test_schedules, test_pipelines):
        walked |= set(re.findall(r'VARIABLE: "(\w+)', inspect.getsource(module)))
        for _, test in inspect.getmembers(module, inspect.isfunction):
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "parametrize" and mark.args[0] == "point":
                    walked |= {_name(value) for value in mark.args[1]}
    assert walked == set(POINTS)


def _name(value: object) -> str:
    """Of a parameter: without its marks, and without how often it is passed before."""
    text = value.values[0] if isinstance(value, ParameterSet) else value
    return str(text).partition(":")[0]
