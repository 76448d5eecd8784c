"""Sail: Spark SQL on DataFusion, one Rust process that is up in a fifth of a second.

What is special about it: it reads a missing file as an empty one (so files are looked for here), it
knows no partition values (see ``connect.tables``), its times are right in UTC only, it gives no
memory back (so the pool recycles it), and its credentials are the process's.
"""

from __future__ import annotations

import importlib.metadata
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from jobs.access.credentials import Credentials
from jobs.engines.api import EngineClient, EngineNeed
from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.late import connect
from jobs.engines.ground import ENGINE_PORT, HERE, Ground, require_near
from jobs.engines.identity import with_identity
from jobs.launchers.api import Launcher, Limits, RunSpec
from jobs.lifecycle.spec import EngineName
from sql.statement import Binding
from storage.base.clock import Clock

#: Of the memory that a run may use, what Sail may count as its own: decoding and writing of files
#: are not in its books and were measured to add 0.3 to 0.5 GB.
_POOL_SHARE = 0.55
_KEYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})
_SAFE = "/:@!$&'()*+,;=-._~"  # characters of a path that a URL may hold; not % ? # [ ] { }


@dataclass(frozen=True, slots=True, kw_only=True)
class SailSettings:
    """``environment`` is how buckets are reached, and holds secrets."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: whether a file of a bucket is there; None: only files of this machine are looked for
    present: Callable[[str], bool] | None = None
    ground: Ground = HERE


class SailEngine:
    """How a Sail server is started and spoken to."""

    name = EngineName.SAIL

    def __init__(self, settings: SailSettings) -> None:
        self._settings = settings
        self.version = importlib.metadata.version("pysail")
        self._dialect = Dialect(
            name=self.name.value,
            address=address,
            check=self._check,
            present=self._present,
            quoted_views=False,
            partition_folders=False,
            confs={"spark.sql.session.timeZone": "UTC"},
        )

    def plan(self, need: EngineNeed) -> RunSpec:
        ground = self._settings.ground
        port, directory = ground.port(ENGINE_PORT), str(need.directory)
        server = ("-I", "-m", "pysail", "spark", "server", "--ip", ground.listens, "--port")
        environment = {
            "HOME": directory,
            "TMPDIR": directory,
            "TZ": "UTC",
            "RUST_LOG": "warn",
            "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
            "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": str(int(need.memory_bytes * _POOL_SHARE)),
            "SAIL_RUNTIME__TEMPORARY_FILES__PATHS": f'["{directory}"]',
            "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(need.cores),
            "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(7 * 86400),  # a session ends with its statement
            **self._buckets(need.credentials),
        }
        return RunSpec(
            run_id=need.run_id,
            command=(str(ground.python), *server, str(port)),
            environment=environment,
            directory=need.directory,
            memory_bytes=need.memory_bytes,
            limits=Limits(cores=need.cores),
            labels={"engine": self.name.value, "project": need.project_id, "queue": need.queue},
            port=port,
            pod=with_identity(need.terms.options(need.cores, need.memory_bytes), need.credentials),
        )

    def _buckets(self, credentials: Credentials | None) -> Mapping[str, str]:
        """Where they are, and who we are there unless the run is its project's."""
        environment = self._settings.environment
        if credentials is None:
            return environment
        where = {name: text for name, text in environment.items() if name not in _KEYS}
        # A node's own identity is not the project's: without one of its own there is none.
        return where if credentials.secret else {**where, "AWS_EC2_METADATA_DISABLED": "true"}

    def check(self, binding: Binding) -> None:
        for file in binding.files:
            self._check(file.uri)

    def connect(self, address: str, token: str) -> EngineClient:
        return connect(address, self._dialect)  # it asks nobody for a token

    def improve(self, launcher: Launcher, clock: Clock, stop: threading.Event) -> None:
        """Nothing could be faster."""

    def _check(self, uri: str) -> None:
        require_near(uri, self._settings.ground, engine=self.name.value)

    def _present(self, uri: str) -> bool:
        if uri.startswith("file://"):
            return os.path.isfile(uri.removeprefix("file://"))
        return self._settings.present is None or self._settings.present(uri)


def address(uri: str) -> str:
    """Sail reads a path as a URL, where ours are taken literally."""
    scheme, _, path = uri.partition("://")
    return f"{scheme}://{quote(path, safe=_SAFE)}"
