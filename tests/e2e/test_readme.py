"""The README's tour: each command runs and prints what is written there, numbers aside."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tour import README, comparable, play, steps_of


def test_tour_prints_what_is_written(tmp_path: Path) -> None:
    written = steps_of(README.read_text(encoding="utf-8"))
    assert len(written) > 5
    for step, played in zip(
        written, play([step.command for step in written], tmp_path), strict=True
    ):
        assert comparable(played.output) == comparable(step.output), (
            f"{step.command}\n{played.output}\nrun: python -m benchmarks.tour"
        )
