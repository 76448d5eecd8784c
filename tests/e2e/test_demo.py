"""``make demo`` says what it promises, and leaves nothing behind, after a Ctrl-C too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.processes import await_that, of_home

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "benchmarks.demo", "--scale", "0.01"]


@pytest.mark.spark
def test_demo_shows_the_main_job(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("quoted USD") >= 5
    for word in ("sail 0.7.2", "spark 4.2.1", "cost_cap_exceeded", "total USD"):
        assert word in done.stdout
    assert of_home(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_interrupt_ends_everything(tmp_path: Path) -> None:
    with subprocess.Popen(
        DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)}, start_new_session=True,
    ) as process:  # fmt: skip
        demo = psutil.Process(process.pid)
        assert await_that(lambda: len(demo.children(recursive=True)) >= 3, seconds=60)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 4, told
    assert of_home(tmp_path) == []
