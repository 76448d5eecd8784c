"""The archive of loaded classes (AppCDS) that halves the start of a Spark server.

Built once for a Java, a Spark and their files, by a server that is warmed up and then told to end,
which takes a minute or two of CPU; whoever needs a server meanwhile starts one without. An archive
that is missing, damaged or of another Java is passed over by the JVM itself (``-Xshare:auto``).
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jobs.engines.java import Java, fingerprint

log = logging.getLogger(__name__)


class ClassArchive:
    """Two files in ``cache``: the runtime's own classes, and Spark's on top of them.

    A runtime made by jlink comes without the first, which a normal one has inside.
    """

    def __init__(self, cache: Path, java: Java, jars: Sequence[Path]) -> None:
        key = fingerprint(java, jars)
        self._base = cache / f"java-{key}.jsa"
        self._top = cache / f"spark-{key}.jsa"
        self._java = java

    @property
    def ready(self) -> bool:
        """Whether servers start with it."""
        return self._base.exists() and self._top.exists()

    def flags(self) -> tuple[str, ...]:
        """Of a JVM that uses the archive, or of any JVM while there is none."""
        if not self.ready:
            return ("-Xshare:auto",)
        return (f"-XX:SharedArchiveFile={self._base}:{self._top}", "-Xshare:auto")

    def recording(self, draft: Path) -> tuple[str, ...]:
        """Flags of the JVM that writes the archive to ``draft`` when it ends."""
        return (f"-XX:SharedArchiveFile={self._base}", f"-XX:ArchiveClassesAtExit={draft}")

    def prepare(self) -> None:
        """Write the first part; a second or two. Nothing to do when it is there."""
        if self._base.exists():
            return
        self._base.parent.mkdir(parents=True, exist_ok=True)
        draft = self._base.with_suffix(f".{os.getpid()}")
        command = [str(self._java.program), f"-XX:SharedArchiveFile={draft}", "-Xshare:dump"]
        subprocess.run(command, capture_output=True, check=False, timeout=120)
        if draft.exists():
            draft.replace(self._base)

    def keep(self, draft: Path) -> bool:
        """Take a finished ``draft`` as the archive, whole or not at all."""
        if not draft.exists():
            return False
        draft.replace(self._top)
        log.info("class archive built", extra={"bytes": self._top.stat().st_size})
        return True
