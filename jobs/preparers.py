"""Runs ``sql.prepare`` in warm, bounded child processes, so that no statement stalls the service.

A child that does not answer in its time is killed and replaced; only its own statement suffers. A
text that was prepared before, over the same versions of the same relations, is not prepared again:
the outcome is a pure function of these.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jobs.preparing.child import Child, ChildLostError
from jobs.preparing.messages import Answer, Ask, Done, Forgotten, Needed, RelationKey, Wrong, key_of
from jobs.preparing.relations import Found, Relations
from sql.errors import EstimateTimeoutError, StatementTooDeepError
from sql.guard.limits import GuardLimits
from sql.statement import PreparedStatement, TableName
from storage.base.errors import UnavailableError
from storage.base.ids import ProjectId

_ROUNDS = 64  # look-ups of one statement: one for the text and one for each level of views
_REMEMBERED = 2048  # texts
_MOST_FILES = 64  # files of a statement that is remembered: small ones come often, and weigh little


class PreparersBusyError(UnavailableError):
    """All children are at work, and none came free in time."""

    code = "preparers_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One text to prepare, in one project."""

    project_id: ProjectId
    text: str
    database: str
    parameters: Mapping[str, Any] | Sequence[Any]
    limits: GuardLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """What a question came to, over which relations."""

    names: tuple[TableName, ...]
    keys: Mapping[TableName, RelationKey]
    databases: tuple[str, ...]
    prepared: PreparedStatement | None


class Preparers:
    """A pool of children. Methods are safe to call from any thread."""

    def __init__(self, *, relations: Relations, count: int, limit: timedelta, memory: int) -> None:
        self._relations = relations
        self._limit = limit
        self._memory = memory
        self._idle = [self._spawn() for _ in range(count)]
        self._free = threading.Semaphore(count)
        self._pool = threading.Lock()
        self._known: OrderedDict[str, _Memory] = OrderedDict()
        self._knowing = threading.Lock()
        self._closed = False

    def prepare(self, question: Question) -> PreparedStatement:
        """The statement, understood and priced at one moment of the catalog.

        Raises what ``sql.prepare`` raises, and ``EstimateTimeoutError`` when it takes too long.
        """
        key = _memory_key(question)
        memory = self._recall(key)
        names = set(memory.names) if memory else set()
        if memory is not None and memory.prepared is not None:
            found = self._relations.find(question.project_id, names)
            if _same(memory, found):
                return memory.prepared
        try:
            return self._converse(question, key, names)
        except ChildLostError as error:
            if error.details.get("reason") != "died":
                raise self._explained(error) from error
        # It may have been killed while it did nothing. A statement that kills a second is to blame.
        try:
            return self._converse(question, key, names)
        except ChildLostError as error:
            raise self._explained(error) from error

    def _converse(self, question: Question, key: str, names: set[TableName]) -> PreparedStatement:
        """Look names up until the child misses none; raises ``ChildLostError``."""
        child = self._take()
        try:
            for _ in range(_ROUNDS):
                found = self._relations.find(question.project_id, names)
                reply = _ask(child, question, found)
                if isinstance(reply, Needed):
                    names.update(reply.names)
                    continue
                if isinstance(reply, Wrong):
                    raise reply.error
                assert isinstance(reply, Done)
                self._remember(key, found, reply.prepared)
                return reply.prepared
            raise StatementTooDeepError("views refer to views too many times")
        except ChildLostError:
            child.close()
            raise
        finally:
            self._give(child)

    def pids(self) -> tuple[int, ...]:
        """The processes that are idle now."""
        with self._pool:
            return tuple(child.pid for child in self._idle)

    def close(self) -> None:
        """End the children; one at work ends when its statement does."""
        with self._pool:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def _explained(self, error: ChildLostError) -> Exception:
        if error.details.get("reason") == "timeout":
            seconds = self._limit.total_seconds()
            return EstimateTimeoutError(
                f"the statement could not be read and priced within {seconds:g} seconds",
                hint="make it simpler: fewer conditions, joins or nested queries",
            )
        if error.details.get("reason") == "died":
            return StatementTooDeepError(
                "the statement needs more depth or memory than is allowed to read it",
                hint="make it simpler, or split it",
            )
        return error

    def _take(self) -> Child:
        if not self._free.acquire(timeout=30):
            raise PreparersBusyError("too many statements are being read", hint="try again soon")
        with self._pool:
            if self._closed:
                self._free.release()
                raise PreparersBusyError("the service is stopping")
            return self._idle.pop()

    def _give(self, child: Child) -> None:
        if not child.alive:
            child.close()
            child = self._spawn()
        with self._pool:
            closed = self._closed
            if not closed:
                self._idle.append(child)
        if closed:
            child.close()
        self._free.release()

    def _spawn(self) -> Child:
        return Child(limit=self._limit, memory=self._memory)

    def _recall(self, key: str) -> _Memory | None:
        with self._knowing:
            memory = self._known.get(key)
            if memory is not None:
                self._known.move_to_end(key)
            return memory

    def _remember(self, key: str, found: Found, prepared: PreparedStatement) -> None:
        files = sum(len(binding.files) for binding in prepared.bindings)
        memory = _Memory(
            names=tuple(found.relations),
            keys={name: key_of(relation) for name, relation in found.relations.items()},
            databases=found.databases,
            prepared=prepared if files <= _MOST_FILES and not found.absent else None,
        )
        with self._knowing:
            self._known[key] = memory
            self._known.move_to_end(key)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _ask(child: Child, question: Question, found: Found) -> Answer:
    keys = {name: key_of(relation) for name, relation in found.relations.items()}
    lacking = child.unknown(keys.values())
    for _ in range(2):
        carried = tuple(each for each in found.relations.values() if key_of(each) in lacking)
        reply = child.ask(
            Ask(
                text=question.text,
                database=question.database,
                parameters=question.parameters,
                limits=question.limits,
                databases=found.databases,
                relations=keys,
                carried=carried,
                absent=found.absent,
                similar=found.similar,
            )
        )
        child.sent(keys.values())
        if not isinstance(reply, Forgotten):
            return reply
        lacking = frozenset(keys.values())
    raise ChildLostError("the child that reads statements forgets what it is told")


def _same(memory: _Memory, found: Found) -> bool:
    return (
        not found.absent
        and memory.databases == found.databases
        and len(memory.keys) == len(found.relations)
        and all(key_of(each) == memory.keys.get(name) for name, each in found.relations.items())
    )


def _memory_key(question: Question) -> str:
    return "\0".join(
        (
            question.project_id,
            question.database,
            json.dumps(question.parameters, sort_keys=True, default=str),
            repr(question.limits),
            question.text,
        )
    )
