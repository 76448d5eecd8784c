"""The command ``dli``: which commands to load for a command line, and how it ends."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

#: Options of the root that may also stand behind the command's name.
_SHARED = frozenset({"--url", "--token", "--project"})
#: Commands that are also in ``serving``, for when nothing but their own options is asked for.
_SERVING = frozenset({"up", "serve"})
_HELP = frozenset({"--help", "-h"})
#: What typer makes of a Ctrl-C, and our own exit code for it.
_INTERRUPTED, _CANCELLED = 130, 4


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; errors are printed and become exit codes."""
    words = shared_first(arguments)
    serving = words[:1] and words[0] in _SERVING and not _HELP.intersection(words)
    name = "dli.cli.serving" if serving else "dli.cli.commands"
    try:
        result = importlib.import_module(name).app(words, standalone_mode=False, prog_name="dli")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  those unknown are raised again
        code: int = importlib.import_module("dli.cli.endings").told(error)
        return code
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
