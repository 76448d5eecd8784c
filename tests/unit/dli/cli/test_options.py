from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from dli.cli.options import grouped


@dataclass(frozen=True, kw_only=True)
class Size:
    cores: Annotated[int, typer.Option(min=1, help="How many.")] = 1
    memory: str | None = None


def command_line(seen: list[object]) -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    @grouped
    def make(name: str, *, size: Size, quiet: bool = False) -> None:
        """Make one."""
        seen.append((name, size, quiet))

    return app


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], Size()),
        (["--memory", "1GiB", "--cores", "2"], Size(cores=2, memory="1GiB")),
    ],
)
def test_options_of_a_group_come_as_one_value(words: list[str], size: Size) -> None:
    seen: list[object] = []
    command_line(seen)([*words, "a", "--quiet"], standalone_mode=False)
    assert seen == [("a", size, True)]


def test_group_stands_in_the_help_where_its_parameter_does() -> None:
    command = typer.main.get_command(command_line([]))
    assert command.help == "Make one."
    assert [each.name for each in command.params] == ["name", "cores", "memory", "quiet"]


def test_bounds_of_an_option_hold_in_a_group() -> None:
    with pytest.raises(typer.TyperException, match="greater than or equal to 1"):
        command_line([])(["a", "--cores", "0"], standalone_mode=False)
