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


def test_the_second_command_may_read_the_files_of_the_first() -> None:
    """``make up`` is what a newcomer runs before the tour, whose files ``make demo`` made."""
    [line] = [
        each.split()
        for each in (README.parent / "Makefile").read_text(encoding="utf-8").splitlines()
        if each.startswith("\t$(BIN)/dli up")
    ]
    allowed = Path(line[line.index("--allow-path") + 1].replace("$(CURDIR)", str(README.parent)))
    files = [
        word
        for step in steps_of(README.read_text(encoding="utf-8"))
        for word in step.command.split()
        if word.endswith(".parquet")
    ]
    assert files
    assert all((README.parent / file).is_relative_to(allowed) for file in files)
