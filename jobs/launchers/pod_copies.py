"""A run's folder beside its pod: what goes there by the object store, and what comes back.

The copy here has the shape of a local run's folder, and the word of its end is written last, when
all else is here: what has it has ended, for every look from then on.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.launchers import facts
from jobs.launchers.api import RunSpec, RunState, RunStatus
from jobs.launchers.pod.tars import Tar, below, unpack
from jobs.launchers.problems import Again, Blame, Problem
from storage.base.ids import RunId
from storage.objects.api import LinkingStore
from storage.objects.ranges import RangeFile

_LINK = timedelta(days=7)  # the longest that a signature allows
_BLOCK = 8 << 20
_INPUTS, _OUTPUTS = "in.tar", "out.tar"
_FETCHED = "fetched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """``root`` has the folders; ``store`` is reached from pods by signed links."""

    root: Path
    store: LinkingStore

    def home(self, run_id: RunId) -> Path:
        """Where all of a run is kept here; its own folder is ``work`` in it."""
        return self.root / run_id

    def made_home(self, run_id: RunId) -> Path:
        """Likewise, made if it was not there."""
        home = self.home(run_id)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return home

    def send(self, spec: RunSpec) -> str | None:
        """Keep what lies in the run's folder for its pod; a link to it, None for an empty one."""
        if not any(spec.directory.iterdir()):
            return None
        work = str(spec.directory)
        with tempfile.NamedTemporaryFile(dir=spec.directory.parent, suffix=".tar") as packed:
            packed.writelines(Tar(below(work, work)))
            packed.flush()
            self.store.put_file(_key(spec.run_id, _INPUTS), Path(packed.name))
        return self._link(spec.run_id, _INPUTS, "GET")

    def way_back(self, spec: RunSpec) -> str | None:
        """A link for what it leaves; None where its pod can tell all that is wanted of it."""
        leaves = spec.lease is not None or bool(spec.keeps) or not spec.merged
        return self._link(spec.run_id, _OUTPUTS, "PUT") if leaves else None

    def fetch(self, run_id: RunId, *, most: int | None = None) -> None:
        """Unpack what it left, but for its word of its end; twice is as once.

        More than ``most`` bytes are left there. Raises ``ServiceError``.
        """
        if facts.read(str(self.home(run_id)), _FETCHED) is not None:
            return
        key = _key(run_id, _OUTPUTS)
        size = self.store.stat(key).size
        if most is not None and size > most:
            return
        home = self.made_home(run_id)

        def part(start: int, length: int) -> bytes:
            return self.store.get(key, start=start, length=length)

        ours = {"order.json"} if (home / "order.json").exists() else set()
        source = RangeFile(part, size)
        with tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK) as tar:
            unpack(tar, str(home), without={"exited.json", _FETCHED, *ours})
        facts.write(str(home), _FETCHED, {"bytes": size}, lasting=False)

    def drop(self, run_id: RunId) -> None:
        """Remove what the store has of it, then what is here. Raises ``ServiceError``."""
        for name in (_INPUTS, _OUTPUTS):
            self.store.delete(_key(run_id, name))
        shutil.rmtree(self.home(run_id), ignore_errors=True)

    def keep_log(self, run_id: RunId, at: int, data: bytes) -> None:
        """As the log from ``at`` on of a run that left none of its own."""
        (self.made_home(run_id) / f"output.{at:020d}.log").write_bytes(data)

    def has_log(self, run_id: RunId) -> bool:
        """Whether there is one."""
        home = self.home(run_id)
        return home.is_dir() and any(
            name.startswith("output.") and name.endswith(".log") for name in os.listdir(home)
        )

    def end(
        self,
        run_id: RunId,
        *,
        code: int | None,
        reason: str | None,
        problem: Problem | None,
        used: dict[str, Any],
        made: float,
    ) -> None:
        """Write the end down. ``used`` has seconds ``elapsed`` and ``cpu``, and bytes ``peak``."""
        end = {
            "code": code,
            "reason": reason,
            "problem": None if problem is None else asdict(problem),
            "elapsed": used.get("elapsed", 0.0),
            "cpu": used.get("cpu", 0.0),
            "peak": used.get("peak", 0),
            "made": made,
        }
        facts.write(str(self.made_home(run_id)), "exited.json", end)

    def ended(self, run_id: RunId) -> RunStatus | None:
        """The end as it is written down here."""
        end = facts.read(str(self.home(run_id)), "exited.json")
        if end is None:
            return None
        problem = end["problem"] and Problem(
            code=end["problem"]["code"],
            message=end["problem"]["message"],
            blame=Blame(end["problem"]["blame"]),
            again=Again(end["problem"]["again"]),
        )
        return RunStatus(
            run_id=run_id,
            state=RunState.GONE if end["code"] is None else RunState.EXITED,
            exit_code=end["code"],
            reason=end["reason"],
            problem=problem,
            peak_rss_bytes=end["peak"],
            cpu_seconds=end["cpu"],
            elapsed_seconds=end["elapsed"],
            made_seconds=end.get("made", 0.0),
        )

    def _link(self, run_id: RunId, name: str, method: str) -> str:
        return self.store.link(_key(run_id, name), method=method, lasts=_LINK)


def _key(run_id: RunId, name: str) -> str:
    return f"runs/{run_id}/{name}"
