"""Where things are in the folder that ``runtime`` fills, and how the porter is started from there.

Only the standard library, as in ``porter``.
"""

from __future__ import annotations

import os

LOADER = "loader"  #: starts a program with the libraries that it is given
LIBRARIES = "lib"
PYTHON = "bin/python"
OURS = "dli"
AUTHORITIES = "ca.crt"  #: whom our image trusts, if it has a list of them


def command(folder: str) -> list[str]:
    """What starts the porter there, but for its arguments: by nothing of the image's own."""

    def at(name: str) -> str:
        return os.path.join(folder, name)

    start = [at(LOADER), "--inhibit-cache", "--library-path", at(LIBRARIES)]
    return [*start, at(PYTHON), "-ISB", "-X", "utf8", at(f"{OURS}/pod/porter.pyc")]
