"""The child that prepares statements: ``python -m jobs.preparing.main FD LIMIT_MS MEMORY``.

A statement can make it slow, big or dead, so nothing else lives here. It ends when its parent does
(the pipe closes), and a timer of the kernel ends it in the middle of a statement even if the parent
is gone or stopped.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections import OrderedDict
from multiprocessing.connection import Connection
from pathlib import Path

from jobs.preparing.messages import (
    Answer,
    Ask,
    Done,
    Forgotten,
    Needed,
    Ready,
    RelationKey,
    Wrong,
    key_of,
)
from sql.analysis.view import CatalogView, Relation
from sql.errors import StatementTooLargeError
from sql.prepare import missing, prepare
from storage.base.errors import ServiceError

_KEPT_ROW_GROUPS = 200_000  # of all relations together; one of 10,000 with 16 columns is 5 MiB


class RelationCache:
    """Relations by key, the ones used last; bounded by what weighs, their row groups."""

    def __init__(self, most: int = _KEPT_ROW_GROUPS) -> None:
        self._most = most
        self._kept: OrderedDict[RelationKey, Relation] = OrderedDict()
        self._weight = 0

    def get(self, key: RelationKey) -> Relation | None:
        """The relation, which counts as used now."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, relation: Relation) -> None:
        """Keep ``relation``, at the cost of those used longest ago."""
        key = key_of(relation)
        if key in self._kept:
            return
        self._kept[key] = relation
        self._weight += _weight(relation)
        while self._weight > self._most and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._weight -= _weight(dropped)


def _weight(relation: Relation) -> int:
    if relation.snapshot is None:
        return 1
    groups = relation.snapshot.groups
    return 1 + len(relation.snapshot.files) + (0 if groups is None else len(groups.rows))


def answer(ask: Ask, cache: RelationCache) -> Answer:
    """What becomes of one question."""
    for relation in ask.carried:
        cache.put(relation)
    found = {name: cache.get(key) for name, key in ask.relations.items()}
    carried = {key_of(relation): relation for relation in ask.carried}
    relations = {
        name: relation or carried.get(ask.relations[name]) for name, relation in found.items()
    }
    forgotten = tuple(ask.relations[name] for name, held in relations.items() if held is None)
    if forgotten:
        return Forgotten(keys=forgotten)
    view = CatalogView(
        relations={name: held for name, held in relations.items() if held is not None},
        databases=ask.databases,
        similar=ask.similar,
        absent=ask.absent,
    )
    try:
        needed = missing(ask.text, view=view, database=ask.database)
        if needed:
            return Needed(names=needed)
        prepared = prepare(
            ask.text,
            view=view,
            database=ask.database,
            parameters=ask.parameters,
            limits=ask.limits,
        )
    except ServiceError as error:
        return Wrong(error=error)
    except MemoryError:
        return Wrong(error=StatementTooLargeError("the statement needs too much memory to read"))
    return Done(prepared=prepared)


def _bound_memory(extra: int) -> None:
    """Allow ``extra`` bytes of address space beyond what is in use now. Linux only."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + extra, used + extra))


def serve(pipe: Connection, *, limit: float, memory: int) -> None:
    """Answer questions until the parent closes the pipe; ``limit`` is in seconds."""
    _bound_memory(memory)
    cache = RelationCache()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent closed the pipe, or died
        pipe.send(Ready())
        while True:
            ask = pipe.recv()
            signal.setitimer(signal.ITIMER_REAL, limit * 2 + 1)
            reply = answer(ask, cache)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(reply)


def main() -> None:
    """Serve on the descriptor that the parent left open."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business: it closes the pipe
    descriptor, limit, memory = (int(value) for value in sys.argv[1:4])
    serve(Connection(descriptor), limit=limit / 1000, memory=memory)


if __name__ == "__main__":
    main()
