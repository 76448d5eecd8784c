"""``docs/cli.md`` out of the commands' own help: ``python -m dli.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from dli.cli.commands import command_line

INTRODUCTION = """\
# The command line

Made by `python -m dli.cli.reference` from the commands' own help; a test compares the two.

`dli` is a client of the REST API, so every command works the same against a service elsewhere.
Only `dli up` and `dli serve` start one, `dli migrate` prepares its database, and `dli doctor` looks
at this machine.

**Which service, and who asks.** The first of these that says something wins, for the address and
for the token apart:

1. `--url`, `--token` and `--project`, before or behind the command's name;
2. `DLI_URL`, `DLI_TOKEN` and `DLI_PROJECT`;
3. `~/.config/dli/config.toml`, or the file that `DLI_CONFIG` names, with `url`, `token` and
   `project`. It is refused if others can read it: `chmod 600`;
4. what `dli up` left in its home (`$DLI_HOME`, else `~/.dli`): its address and the token of the
   first user. That token is never sent anywhere else.

**Exit codes.**

| code | what |
|---|---|
| 0 | done |
| 1 | failed: an error of the statement, of the service, or nobody there |
| 2 | bad usage; nothing was sent |
| 3 | refused: no valid token, no right, a guard rule, a cap of bytes or money |
| 4 | cancelled (Ctrl-C too) or timed out |

Rows go to standard output, all else to standard error. On a terminal a line shows how a statement
is doing; elsewhere there is none. With `-o FILE` a file appears whole or not at all.

**Completion.** `dli completion bash > ~/.local/share/bash-completion/completions/dli`, or
`dli completion zsh > "${fpath[1]}/_dli"`.
"""


def reference() -> str:
    """The whole page."""
    command = typer.main.get_command(command_line())
    return "\n".join([INTRODUCTION, *_sections(command, "dli")])


def _sections(command: Any, path: str) -> Iterator[str]:
    commands = getattr(command, "commands", None)
    if commands is None:
        yield from _one(command, path)
        return
    if path != "dli":
        yield f"## {path}\n"
        yield f"{command.help}\n"
    for name in sorted(commands):
        yield from _sections(commands[name], f"{path} {name}")


def _one(command: Any, path: str) -> Iterator[str]:
    depth = "##" if path.count(" ") == 1 else "###"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = "".join(
        f" {name}" if each.required else f" [{name}]"
        for each in arguments
        for name in [each.metavar or each.name.upper()]
    )
    yield f"{depth} {path}{usage}\n"
    yield f"{_paragraphs(command.help)}\n"
    rows = [(each.metavar or each.name.upper(), each.help) for each in arguments if each.help]
    rows += [(", ".join([*each.opts, *each.secondary_opts]), each.help) for each in options]
    if rows:
        yield "| | |\n|---|---|"
        yield from (f"| `{name}` | {_cell(text)} |" for name, text in rows)
        yield ""


def _paragraphs(text: str) -> str:
    blocks = text.strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in block.splitlines()) for block in blocks)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
