"""The command ``dli``: which commands to load for a command line, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

#: Options of the root that may also stand behind the command's name.
_SHARED = frozenset({"--url", "--token", "--project"})
#: What typer makes of a Ctrl-C, and our own exit code for it.
_INTERRUPTED, _CANCELLED = 130, 4


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; errors are printed and become exit codes."""
    # Loaded here, so that a Ctrl-C meanwhile is told as any other.
    try:
        from dli.cli.commands import COMMANDS, command_line  # noqa: PLC0415

        words = shared_first(arguments)
        name = command_in(words)
        app = command_line([name]) if name in COMMANDS else command_line()
        result = app(words, standalone_mode=False, prog_name="dli")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  those unknown are raised again
        from dli.cli.endings import told  # noqa: PLC0415  few commands end so

        return told(error)
    code = result if isinstance(result, int) else 0
    return _CANCELLED if code == _INTERRUPTED else code


def shared_first(arguments: Sequence[str]) -> list[str]:
    """The same words with ``--url``, ``--token`` and ``--project`` moved to the front.

    So that they may stand anywhere before a ``--``.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _SHARED:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.partition("=")[0] in _SHARED:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def command_in(words: Sequence[str]) -> str | None:
    """The command's name in words whose shared options stand first; None if all are to be told."""
    rest = iter(words)
    for word in rest:
        if word in ("-h", "--help"):
            return None
        if word in _SHARED:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None
