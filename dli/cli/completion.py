"""``dli completion``: what a shell needs to complete commands."""

from __future__ import annotations

from enum import StrEnum

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]

from dli.cli.output import print_text
from dli.cli.session import session_of


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(context: typer.Context, shell: Shell) -> None:
    """Print the completion script of a shell.

    bash: `dli completion bash > ~/.local/share/bash-completion/completions/dli`;
    zsh: `dli completion zsh > "${fpath[1]}/_dli"`
    """
    script = get_completion_script(prog_name="dli", complete_var="_DLI_COMPLETE", shell=shell.value)
    print_text(session_of(context).out, script)
