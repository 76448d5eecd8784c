"""TPC-H: data by the generator that ``make demo`` installs, made once and kept under ``.cache``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TABLES = (
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parent.parent


def generate(scale: str) -> Path:
    """The folder with ``<table>.parquet`` of all tables at this scale; made if it is not there."""
    cache = Path(os.environ.get("DLI_CACHE") or _ROOT / ".cache")
    folder = cache / f"tpch-{scale}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Made beside and renamed, so that an interrupted run leaves no half of it behind.
    fresh = Path(tempfile.mkdtemp(prefix=".tpch-", dir=cache))
    try:
        subprocess.run(
            [Path(sys.executable).parent / "tpchgen-cli", "parquet", "-s", scale,
             f"--output-dir={fresh}"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        fresh.chmod(0o755)
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same data
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
