"""Which keys of Spark's configuration a program may set.

A program that runs can change its own session as it likes. What is kept from it here is what the
service decides (sizes, places, the event log) and what would change how its processes are started.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from jobs.errors import RequestInvalidError

#: Why a key can never be set, by its beginning; the first that fits is told.
_NEVER: Mapping[str, str] = {
    "spark.driver.memory": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.driver.cores": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.driver.resource": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.executor.memory": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.executor.cores": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.executor.instances": "the number of executors is given by `executors`",
    "spark.executor.pyspark.memory": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.memory.offHeap": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.dynamicAllocation": "the number of executors is given by `executors`",
    "spark.cores.max": "sizes are given by `size`, or by `driver` and `executor`",
    "spark.master": "the service decides where a program runs",
    "spark.remote": "`session: connect` runs a program on a warm engine",
    "spark.submit": "the service decides how a program is started",
    "spark.app.name": "the name is given by `name`",
    "spark.eventLog": "the service keeps the event log of each run",
    "spark.ui": "the service keeps the event log of each run; there is no UI",
    "spark.local": "each run has a folder of its own",
    "spark.worker": "each run has a folder of its own",
    "spark.jars": "files are given by `jars`, `py_files` and `files`",
    "spark.archives": "files are given by `jars`, `py_files` and `files`",
    "spark.repl": "files are given by `jars`, `py_files` and `files`",
    "spark.pyspark": "the service chooses the Python",
    "spark.plugins": "it would change how the driver is started",
    "spark.extraListeners": "it would change how the driver is started",
    "spark.driver.extra": "it would change how the driver is started",
    "spark.executor.extra": "it would change how the executors are started",
    "spark.driver.default": "it would change how the driver is started",
    "spark.executor.default": "it would change how the executors are started",
    "spark.driver.host": "the service chooses addresses and ports",
    "spark.driver.bindAddress": "the service chooses addresses and ports",
    "spark.driver.port": "the service chooses addresses and ports",
    "spark.blockManager.port": "the service chooses addresses and ports",
    "spark.kubernetes": "the service decides where a program runs",
    "spark.yarn": "the service decides where a program runs",
    "spark.authenticate": "the service secures what it starts",
    "spark.ssl": "the service secures what it starts",
    "spark.network.crypto": "the service secures what it starts",
    "spark.acls": "the service secures what it starts",
    "spark.sql.warehouse.dir": "each run has a folder of its own",
    "spark.sql.catalogImplementation": "there is no Hive metastore",
    "spark.hadoop.fs": "the service decides which stores can be reached, and by which credentials",
}

#: What people set, for near matches only.
_KNOWN: tuple[str, ...] = (
    "spark.sql.shuffle.partitions",
    "spark.sql.adaptive.enabled",
    "spark.sql.adaptive.coalescePartitions.enabled",
    "spark.sql.adaptive.skewJoin.enabled",
    "spark.sql.autoBroadcastJoinThreshold",
    "spark.sql.broadcastTimeout",
    "spark.sql.ansi.enabled",
    "spark.sql.session.timeZone",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.files.maxRecordsPerFile",
    "spark.sql.sources.partitionOverwriteMode",
    "spark.sql.parquet.compression.codec",
    "spark.sql.execution.arrow.pyspark.enabled",
    "spark.default.parallelism",
    "spark.serializer",
    "spark.kryoserializer.buffer.max",
    "spark.memory.fraction",
    "spark.memory.storageFraction",
    "spark.driver.maxResultSize",
    "spark.shuffle.compress",
    "spark.shuffle.file.buffer",
    "spark.reducer.maxSizeInFlight",
    "spark.rdd.compress",
    "spark.io.compression.codec",
    "spark.task.maxFailures",
    "spark.speculation",
    "spark.locality.wait",
    "spark.scheduler.mode",
    "spark.python.worker.memory",
    "spark.python.worker.reuse",
    "spark.log.level",
)
_MOST_KEYS = 200
_LONGEST_VALUE = 4096


class ConfRefusedError(RequestInvalidError):
    """A key of Spark's configuration that a batch may not set; ``key`` is in the details."""

    code = "conf_refused"


def checked_confs(confs: Mapping[str, str], allowed: Sequence[str]) -> dict[str, str]:
    """``confs`` by key, if each key fits one of the patterns ``allowed`` and is not the service's.

    Raises ``ConfRefusedError``, which names the key, says why, and gives a near one that may be.
    """
    if len(confs) > _MOST_KEYS:
        raise RequestInvalidError(f"conf: more than {_MOST_KEYS} keys", field="conf")
    for key, value in confs.items():
        if (why := _never(key)) is not None:
            raise ConfRefusedError(
                f"{key} cannot be set by a batch: {why}", hint=_hint(key, allowed), key=key
            )
        if not any(fnmatchcase(key, pattern) for pattern in allowed):
            raise ConfRefusedError(
                f"{key} is not on the queue's list of allowed keys",
                hint=_hint(key, allowed),
                key=key,
            )
        if len(value) > _LONGEST_VALUE or "\x00" in value:
            raise RequestInvalidError(
                f"conf: the value of {key} is too long or no text", field="conf"
            )
    return dict(sorted(confs.items()))


def _never(key: str) -> str | None:
    for start, why in _NEVER.items():
        if key.startswith(start) and not key.startswith("spark.locality"):
            return why
    return None


def _hint(key: str, allowed: Sequence[str]) -> str:
    known = [name for name in _KNOWN if any(fnmatchcase(name, each) for each in allowed)]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    if near and near[0] != key:
        return f"did you mean {near[0]}?"
    return f"allowed are: {', '.join(allowed)}" if allowed else "the queue allows none"
