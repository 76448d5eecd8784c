"""Run a server for exactly as long as its starter lives, however that one ends.

``python guard.py FOLDER USER LITTER COMMAND…`` starts the command with its output in ``FOLDER/log``
and waits for the end of standard input, which comes when the starter closes its pipe or is killed.
Then the server is stopped, and the folder and the litter (paths with ``:`` between, that the server
makes elsewhere) are removed. Needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

GRACE_SECONDS = 5.0


def main() -> int:
    folder, user, litter = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(os.pathsep)
    command = sys.argv[4:]
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            user=user or None,
            group=_group_of(user) if user else None,
            extra_groups=[] if user else None,
        )
    stopped = threading.Event()

    def stop_at_the_end() -> None:
        sys.stdin.buffer.read()
        stopped.set()
        _stop(child)

    threading.Thread(target=stop_at_the_end, daemon=True).start()
    child.wait()
    if not stopped.is_set():
        sys.stdin.buffer.read()  # the starter still wants to read the log
    shutil.rmtree(folder, ignore_errors=True)
    for path in filter(None, litter):
        Path(path).unlink(missing_ok=True)
    return 0


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415  not on every platform

    return pwd.getpwnam(user).pw_gid


def _stop(child: subprocess.Popen[bytes]) -> None:
    """SIGQUIT ends both servers at once; nothing in the folder is worth a clean close."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
            return


if __name__ == "__main__":
    raise SystemExit(main())
