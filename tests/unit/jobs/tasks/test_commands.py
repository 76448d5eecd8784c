from __future__ import annotations

from pathlib import Path

import pytest

from jobs.tasks.commands import Commands, find_commands
from jobs.tasks.errors import CommandMissingError, CommandRefusedError
from storage.base.ids import ProjectId

HERE, THERE = ProjectId("here"), ProjectId("there")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name in ("cat", "sort", "convert"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "notes").write_text("no program")
    return tmp_path


def test_name_and_path_stand_for_the_same_program(programs: Path) -> None:
    commands = find_commands(["cat", f"{programs}/convert"], search=str(programs))
    for asked in ("cat", f"{programs}/cat"):
        assert commands.path(HERE, asked) == programs / "cat"
    assert commands.path(HERE, "convert") == programs / "convert"


def test_command_of_a_project_is_no_other_ones(programs: Path) -> None:
    commands = find_commands(["cat", "there:sort"], search=str(programs))
    assert commands.path(THERE, "sort") == programs / "sort"
    assert commands.path(THERE, "cat") == programs / "cat"
    with pytest.raises(CommandRefusedError) as refused:
        commands.path(HERE, "sort")
    assert refused.value.hint == "allowed are: cat"


def test_near_name_is_told(programs: Path) -> None:
    commands = find_commands(["sort", "convert"], search=str(programs))
    with pytest.raises(CommandRefusedError) as refused:
        commands.path(HERE, "converd")
    assert refused.value.hint == "did you mean convert?"


@pytest.mark.parametrize("asked", ["./cat", "../cat", "/usr/bin/id", "cat ", ""])
def test_what_is_not_on_the_list_is_refused(programs: Path, asked: str) -> None:
    commands = find_commands(["cat"], search=str(programs))
    with pytest.raises(CommandRefusedError):
        commands.path(HERE, asked)


def test_empty_list_allows_nothing() -> None:
    assert not find_commands(["", ""], search="/bin")
    with pytest.raises(CommandRefusedError, match="runs no tasks"):
        Commands().path(HERE, "cat")


@pytest.mark.parametrize("entry", ["nothing-like-it", "notes", "a/b", "/no/such", "here:", "x:y"])
def test_entry_that_is_no_program_is_told(programs: Path, entry: str) -> None:
    with pytest.raises(CommandMissingError):
        find_commands([entry], search=str(programs))


def test_commands_of_pods_are_not_looked_for_here() -> None:
    commands = find_commands(["no-such-program", "/opt/none/convert"], search=None)
    assert commands.path(ProjectId("here"), "no-such-program") == Path("no-such-program")
    assert commands.path(ProjectId("here"), "convert") == Path("/opt/none/convert")
    with pytest.raises(CommandMissingError, match="neither a name nor"):
        find_commands(["bin/convert"], search=None)
