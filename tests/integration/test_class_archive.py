"""The class archive of a real Spark: recorded once, then used by every start."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.engines.api import EngineNeed
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.local import LocalLauncher
from storage.base.clock import SystemClock
from storage.base.ids import ProjectId, RunId, new_id
from tests.support.engines import CACHE

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]


def need(launcher: LocalLauncher) -> EngineNeed:
    run_id = RunId(new_id("run", datetime.now(UTC)))
    return EngineNeed(
        run_id=run_id,
        project_id=ProjectId("prj_test"),
        queue="q",
        directory=launcher.directory(run_id),
        memory_bytes=2 << 30,
        cores=2,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_recorded_archive_is_used_and_recorded_once(tmp_path: Path) -> None:
    launcher, clock, never = LocalLauncher(tmp_path / "runs"), SystemClock(), threading.Event()
    engine = SparkEngine(SparkSettings(cache=CACHE))
    engine.improve(launcher, clock, never)
    assert not list(launcher.known())
    kept = {path: path.stat().st_mtime_ns for path in CACHE.rglob("*")}
    engine.improve(launcher, clock, never)
    assert {path: path.stat().st_mtime_ns for path in CACHE.rglob("*")} == kept
    spec = engine.plan(need(launcher))
    # A JVM that cannot use its archive ends at once with this flag.
    strict = tuple("-Xshare:on" if part == "-Xshare:auto" else part for part in spec.command)
    assert strict != spec.command
    launcher.launch(replace(spec, command=strict))
    assert spec.port is not None
    while launcher.address(spec.run_id, spec.port) is None:
        assert not launcher.status(spec.run_id).state.ended, launcher.logs(spec.run_id).data
        clock.wait(never, timedelta(milliseconds=100))
    launcher.close()


def test_recording_ends_soon_when_told(tmp_path: Path) -> None:
    launcher, stop = LocalLauncher(tmp_path / "runs"), threading.Event()
    engine = SparkEngine(SparkSettings(cache=tmp_path / "cache"))
    threading.Timer(3, stop.set).start()
    began = time.monotonic()
    engine.improve(launcher, SystemClock(), stop)
    assert time.monotonic() - began < 60
    assert not list(launcher.known())
    assert not list((tmp_path / "cache").glob("spark-*"))
    launcher.close()


def test_damaged_archive_is_passed_over(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs")
    engine = SparkEngine(SparkSettings(cache=tmp_path / "cache", quick_compiler=True))
    archive = engine._install.archive
    archive.prepare()
    draft = tmp_path / "draft"
    draft.write_bytes(b"not an archive" * 1000)
    assert archive.keep(draft)
    assert archive.ready
    spec = engine.plan(need(launcher))
    launcher.launch(spec)
    assert spec.port is not None
    clock, never = SystemClock(), threading.Event()
    while launcher.address(spec.run_id, spec.port) is None:
        assert not launcher.status(spec.run_id).state.ended, launcher.logs(spec.run_id).data
        clock.wait(never, timedelta(milliseconds=100))
    launcher.close()
