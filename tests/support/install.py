"""Make sure that the programs which the tests need are on this machine.

``python -m tests.support.install`` installs PostgreSQL by Debian's package where there is no
server binary and we may; elsewhere it says what to do. Bubblewrap comes by the same way, and where
there is none the tests of sandboxes are left out. The S3 server comes with the locked
development packages, so there is nothing to do for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("initdb", "postgres")
OLDEST = 15
HOMEBREW = ("/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt")


def postgres_bin() -> Path | None:
    """The folder of the newest PostgreSQL server programs that are here, if any."""
    found = [folder for folder in _candidates() if all((folder / name).exists() for name in NEEDED)]
    versions = {folder: _version(folder) for folder in found}
    fit = [folder for folder in found if versions[folder] >= OLDEST]
    return max(fit, key=lambda folder: versions[folder], default=None)


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    config = shutil.which("pg_config")
    if config:
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            yield Path(told.stdout.strip())
    yield from Path("/usr/lib/postgresql").glob("*/bin")
    yield from Path("/usr").glob("pgsql-*/bin")
    for cellar in HOMEBREW:
        yield from Path(cellar).glob("postgresql*/bin")


def _version(folder: Path) -> int:
    """The major version; ``postgres (PostgreSQL) 15.8 (Debian 15.8-0)`` is 15."""
    told = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    words = told.stdout.replace("(PostgreSQL)", "").split()
    number = words[1] if len(words) > 1 else "0"
    digits = number.split(".")[0].rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdigit() else 0


def _as_root() -> list[str] | None:
    """What to put before a command so that root runs it; None where we may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if (
        sudo
        and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return [sudo, "-n"]
    return None


def _install_by_apt(root: list[str]) -> None:
    """Debian's packages; PostgreSQL's own cluster is not started, the tests make theirs."""
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive"]
    subprocess.run([*quiet, "apt-get", "update", "-qq"], check=True)
    missing = [
        package
        for package, found in (
            ("postgresql", postgres_bin() is not None),
            ("bubblewrap", shutil.which("bwrap") is not None),
        )
        if not found
    ]
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends"]
    subprocess.run([*quiet, *install, *missing], check=True)


def main() -> int:
    """Install what is missing; the exit code says whether the tests can run."""
    if postgres_bin() is not None and shutil.which("bwrap") is not None:
        return 0
    root = _as_root()
    if shutil.which("apt-get") and root is not None:
        try:
            _install_by_apt(root)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{error}\n")
    if postgres_bin() is not None:
        return 0
    sys.stderr.write(
        f"The tests need a PostgreSQL server, version {OLDEST} or newer, and none was found.\n"
        "Install it (Debian: apt-get install postgresql; Homebrew: brew install postgresql@17),\n"
        "or put the folder with initdb and postgres on PATH.\n"
    )
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
