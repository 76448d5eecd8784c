"""Which commands tasks may run: what the operator listed, found once when the service starts."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.tasks.errors import CommandMissingError, CommandRefusedError
from storage.base.ids import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """By the name that a task gives: the path of the program. Empty: there are no tasks here."""

    everywhere: Mapping[str, Path] = field(default_factory=dict)
    of_projects: Mapping[ProjectId, Mapping[str, Path]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.of_projects)

    def path(self, project_id: ProjectId, command: str) -> Path:
        """The program that ``command``, a name or a path on the list, stands for.

        Raises ``CommandRefusedError``, which does not tell what others may run.
        """
        allowed = {**self.everywhere, **self.of_projects.get(project_id, {})}
        if command in allowed:
            return allowed[command]
        if not allowed:
            raise CommandRefusedError(
                "this service runs no tasks for this project",
                hint="an operator allows commands with the setting task_commands",
            )
        near = difflib.get_close_matches(command, allowed, n=1)
        names = sorted(name for name in allowed if not name.startswith("/"))
        hint = f"did you mean {near[0]}?" if near else f"allowed are: {', '.join(names)}"
        raise CommandRefusedError(
            f"the command {command!r} is not on the list of this project", hint=hint
        )


def find_commands(entries: Iterable[str], *, search: str | None) -> Commands:
    """The list of the operator: ``cat``, ``/opt/bin/convert``, or ``PROJECT:cat`` for one project.

    Names are looked up in ``search`` (as ``PATH`` is written); None: not here, but in the pods that
    run them. A program may be named by its path or by the last part of it. Raises
    ``CommandMissingError``.
    """
    everywhere: dict[str, Path] = {}
    of_projects: dict[ProjectId, dict[str, Path]] = {}
    for entry in filter(None, entries):
        project, colon, command = entry.rpartition(":")
        path = _found(command, search)
        listed = of_projects.setdefault(ProjectId(project), {}) if colon else everywhere
        listed[path.name] = listed[str(path)] = path
    return Commands(everywhere=everywhere, of_projects=of_projects)


def _found(command: str, search: str | None) -> Path:
    if os.sep in command and not os.path.isabs(command):
        raise CommandMissingError(f"{command!r} is neither a name nor an absolute path")
    if search is None and command:
        return Path(command)
    found = shutil.which(command, path=search) if command else None
    if found is None:
        raise CommandMissingError(
            f"there is no program {command!r} on this machine", hint="install it, or give its path"
        )
    return Path(os.path.abspath(found))
