"""What a task's command sees of the machine: with bubblewrap next to nothing, else all we may.

In the sandbox the command has its own processes, network (none), users and files: the system's
programs and libraries and what the operator added, all read-only, and its own folder. It sees
neither the service's home and environment nor other runs. Without one, what holds are the limits of
the launcher, and the command can read whatever the service's user can.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jobs.tasks.errors import SandboxMissingError

log = logging.getLogger(__name__)

#: Where the command finds its files within the sandbox.
INSIDE = "/task"

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
#: What programs of a usual system look at in /etc; nothing of it is secret.
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "fonts", "group", "java-17-openjdk",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types",
    "nsswitch.conf", "passwd", "pki", "protocols", "services", "ssl/certs", "ssl/openssl.cnf",
    "timezone",
)  # fmt: skip
_TRIAL = 10.0  # seconds


class SandboxMode(StrEnum):
    """What the operator wants."""

    AUTO = "auto"  #: bubblewrap where it works, else only limits
    REQUIRE = "require"  #: no tasks without
    OFF = "off"  #: only limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """``program`` is bubblewrap's; None: there is only what the launcher limits, or a ``pod``.

    ``readable`` are folders and files beside the system's that commands may read.
    """

    program: Path | None = None
    readable: tuple[Path, ...] = ()
    pod: bool = False

    @property
    def name(self) -> str:
        """As operators and users are told."""
        if self.pod:
            return "pod"
        return "limits" if self.program is None else "bubblewrap"

    def wrap(self, command: Sequence[str], *, files: Path, scratch: Path) -> tuple[str, ...]:
        """``command`` in the sandbox; ``files`` is its folder there, ``scratch`` its ``/tmp``."""
        if self.program is None:
            return tuple(command)
        return (
            str(self.program),
            *("--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"),
            *("--die-with-parent", "--cap-drop", "ALL", "--hostname", "task"),
            *_system(),
            *("--proc", "/proc", *_unwritable(), "--dev", "/dev"),
            *("--bind", str(files), INSIDE, "--bind", str(scratch), "/tmp"),  # noqa: S108
            *("--bind", str(scratch), "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
            *_readable((*self.readable, Path(command[0]))),
            *("--remount-ro", "/", "--chdir", INSIDE, "--", *command),
        )

    def places(self, *, files: Path, scratch: Path) -> dict[str, str]:
        """Variables that tell the command where its folders are."""
        if self.program is None:
            return {"HOME": str(files), "TMPDIR": str(scratch)}
        return {"HOME": INSIDE, "TMPDIR": "/tmp"}  # noqa: S108


def find_sandbox(mode: SandboxMode, readable: Sequence[Path]) -> Sandbox:
    """The best that works here; tried, since containers often forbid it.

    Raises ``SandboxMissingError`` where one is required.
    """
    if mode is SandboxMode.OFF:
        return Sandbox()
    found = shutil.which("bwrap")
    why = "bubblewrap (bwrap) is not installed"
    if found is not None:
        sandbox = Sandbox(program=Path(os.path.abspath(found)), readable=tuple(readable))
        if (trouble := _tried(sandbox)) is None:
            return sandbox
        why = f"bubblewrap does not work here: {trouble}"
    if mode is SandboxMode.REQUIRE:
        raise SandboxMissingError(
            why, hint="install bubblewrap and allow user namespaces, or set task_sandbox"
        )
    log.warning("tasks run without a sandbox", extra={"reason": why})
    return Sandbox()


def _tried(sandbox: Sandbox) -> str | None:
    """What went wrong with a sandbox that runs nothing; None: it works."""
    with tempfile.TemporaryDirectory() as folder:
        command = sandbox.wrap(("/bin/true",), files=Path(folder), scratch=Path(folder))
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=_TRIAL, env={"LC_ALL": "C"}
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def _system() -> Iterator[str]:
    for path in _SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _unwritable() -> Iterator[str]:
    """Where a service that runs as root could change the machine, with or without rights."""
    for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"):
        yield from ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")


def _readable(paths: Sequence[Path]) -> Iterator[str]:
    """Parents come into being with their children; what is there already stays as it is."""
    for path in paths:
        if not any(path.is_relative_to(known) for known in _SYSTEM):
            yield from ("--ro-bind", str(path), str(path))
