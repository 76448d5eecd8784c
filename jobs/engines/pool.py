"""Running engines: one for each (project, queue, engine), started when wanted, stopped when idle.

Statements share an engine up to a limit. An engine that grew old, served many or grew large gets no
new ones and is stopped when its last has ended, while another takes its place; one that died, does
not answer or would not let go of a statement is killed. No project ever meets another's engine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from jobs.access.credentials import Access, Credentials, CredentialsMissingError, shared
from jobs.clusters import Clusters
from jobs.engines.api import Engine, Images, Terms, no_terms
from jobs.engines.errors import (
    EngineLostError,
    EngineOutOfMemoryError,
    EngineRefusedError,
    EngineStartError,
    StatementInterruptedError,
)
from jobs.engines.members import EngineHandle, EngineView, Key, Member, PoolCounts, PoolSettings
from jobs.engines.obstacles import ObstacleKeeper
from jobs.engines.places import Places
from jobs.engines.records import Records
from jobs.engines.starting import LISTENING, LOG_TAIL, Answering, Starter
from jobs.engines.verdicts import DISOWNED, Verdicts
from jobs.launchers.api import Launcher
from jobs.lifecycle.spec import EngineName
from jobs.views import Obstacle
from sql.statement import Binding
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, RunId
from storage.meta.database import Database

log = logging.getLogger(__name__)

__all__ = ["EngineHandle", "EnginePool", "EngineView", "PoolCounts", "PoolSettings"]

_STOPPED = 0.05  # seconds between two looks of a waiting caller at its stop event
_DYING = 1.0  # seconds from the loss of a connection to the end of its process
#: exit codes of a JVM without memory, by flag and by Spark, and of the kernel's own choice
_MEMORY_CODES = frozenset({3, 52, 137, -9})


class EnginePool:
    """All engines of this replica. Thread-safe."""

    def __init__(
        self,
        database: Database,
        engines: Sequence[Engine],
        launcher: Launcher,
        clock: Clock,
        settings: PoolSettings,
        *,
        terms: Terms = no_terms,
        access: Access = shared,
        clusters: Clusters | None = None,
        images: Images | None = None,
    ) -> None:
        """``terms`` are what a queue says of pods, ``access`` is who a project is in buckets.

        ``clusters`` are those of the launcher, ``images`` those that a queue's engines may have.
        """
        self._access = access
        self._database = database
        self._engines: Mapping[EngineName, Engine] = {engine.name: engine for engine in engines}
        self._launcher = launcher
        self._clock = clock
        self._settings = settings
        self._stop = threading.Event()  # for our own threads
        self._records = Records(database=database, clock=clock, owner=settings.owner)
        self._places = Places(clusters=clusters, terms=terms)
        self._starter = Starter(
            database=database,
            engines=self._engines,
            launcher=launcher,
            clock=clock,
            settings=settings,
            terms=terms,
            several=self._places.several,
            stop=self._stop,
        )
        self._verdicts = Verdicts(
            launcher=launcher,
            clock=clock,
            settings=settings,
            places=self._places,
            access=access,
            images=images,
        )
        self._changed = threading.Condition()  # guards all below
        self._current: dict[Key, Member] = {}  # those that take statements, or soon will
        self._members: dict[RunId, Member] = {}  # all that may live
        self._counts = PoolCounts()
        self._warm: frozenset[Key] = frozenset()  # kept though nobody uses them
        self._closed = False
        self._improving: set[EngineName] = set()
        self._threads: list[threading.Thread] = []

    def check(self, engine: EngineName, bindings: Sequence[Binding]) -> None:
        """Raise ``EngineCannotReadError`` for tables that this kind of engine cannot read."""
        for binding in bindings:
            self._engines[engine].check(binding)

    def acquire(
        self,
        *,
        project_id: ProjectId,
        queue: str,
        engine: EngineName,
        image: str | None = None,
        stop: threading.Event,
        cluster: str | None = None,
    ) -> EngineHandle:
        """An engine for one statement, started if need be; every handle must be released.

        Engines of different images are apart; None is what the queue's terms say. One that knows
        other credentials than its project's present ones is let go of. One that has to be started
        gets its place in ``cluster``, if there are several and that one takes it; where a cluster
        does not answer the start is tried in the next one.

        Raises ``EngineStartError`` with the end of the engine's log, ``CredentialsMissingError``,
        and ``StatementInterruptedError`` when ``stop`` is set first.
        """
        credentials = self._access(project_id)
        key = Key(project_id=project_id, queue=queue, engine=engine, image=image)
        with self._changed:
            waited_for: Member | None = None
            while True:
                if stop.is_set():
                    raise StatementInterruptedError("stopped while waiting for an engine")
                if self._closed:
                    raise EngineStartError("the service is stopping")
                if waited_for is not None and waited_for.failure is not None:
                    if not waited_for.unanswered:
                        raise _again(waited_for.failure)
                    cluster = None
                member = self._open_member(key)
                if member is not None and member.credentials != credentials:
                    self._retire(member, DISOWNED)
                    member = None
                if member is None:
                    member = self._begin(key, credentials, cluster)
                if member.client is not None and member.users < self._settings.statements:
                    member.users += 1
                    return EngineHandle(
                        run_id=member.run_id,
                        engine=engine,
                        version=self._engines[engine].version,
                        client=member.client,
                        address=member.address,
                        token=member.token,
                    )
                waited_for = member
                self._changed.wait(_STOPPED)

    def serves(self, *, project_id: ProjectId, queue: str, engine: EngineName) -> bool:
        """Whether such an engine takes statements here, or soon will, whatever its image."""
        wanted = (project_id, queue, engine)
        with self._changed:
            like = [
                key for key in self._current if (key.project_id, key.queue, key.engine) == wanted
            ]
            return any(self._open_member(key) is not None for key in like)

    def obstacle(self, *, project_id: ProjectId, queue: str, engine: EngineName) -> Obstacle | None:
        """What keeps pods of such an engine here from starting, whatever its image."""
        wanted = (project_id, queue, engine)
        with self._changed:
            for key, member in self._current.items():
                same = (key.project_id, key.queue, key.engine) == wanted
                if same and member.obstacles.told is not None:
                    return member.obstacles.told
        return None

    def keep_warm(self, wanted: Iterable[Key]) -> None:
        """Keep one of each though nobody uses it, from now on and instead of those before."""
        keys = frozenset(wanted)
        known = {}
        for key in keys:
            with suppress(CredentialsMissingError):  # who asks for it is told
                known[key] = self._access(key.project_id)
        with self._changed:
            self._warm = keys
            for key, credentials in known.items():
                if key not in self._current and not self._closed:
                    try:
                        self._begin(key, credentials)
                    except EngineStartError as error:
                        log.info("nothing kept warm", extra={"reason": error.message})

    def make_room(self) -> bool:
        """Let go of the engine that was idle for longest, for others want its memory."""
        with self._changed:
            idle = [
                member
                for member in self._current.values()
                if not (member.users or member.warming or member.key in self._warm)
            ]
            if idle:
                self._retire(min(idle, key=lambda member: member.used_at), "room")
            return bool(idle)

    def release(self, handle: EngineHandle) -> None:
        """The statement has ended, or never began."""
        with self._changed:
            member = self._members.get(handle.run_id)
            if member is not None:
                member.users -= 1
                member.served += 1
                member.used_at = self._clock.monotonic()
                self._changed.notify_all()

    def condemn(self, handle: EngineHandle, reason: str) -> None:
        """Kill the engine now, whoever uses it; the next statement gets another."""
        with self._changed:
            member = self._members.get(handle.run_id)
            if member is None:
                return
            self._retire(member, reason)
            self._counts.condemned += 1
        self._end(member, timedelta(0))

    def users(self, handle: EngineHandle) -> int:
        """How many statements share the engine; what warms it up is none."""
        with self._changed:
            member = self._members.get(handle.run_id)
            return member.users if member is not None else 0

    def executors_used(self, handle: EngineHandle) -> int:
        """CU-milliseconds of all executors that the engine had up to now; 0 where it has none."""
        with self._changed:
            member = self._members.get(handle.run_id)
        if member is None or not member.executor_cu:
            return 0
        seconds = self._launcher.status(handle.run_id).made_seconds
        return round(seconds * member.executor_cu)

    def diagnose(self, handle: EngineHandle, error: EngineLostError) -> ServiceError:
        """Why the engine was lost: out of memory, if it says so and the statement was alone."""
        patience = self._clock.monotonic() + _DYING
        while not (status := self._launcher.status(handle.run_id)).state.ended:
            if self._clock.monotonic() > patience or self._clock.wait(self._stop, LISTENING):
                break
        with self._changed:
            member = self._members.get(handle.run_id)
            ended = (
                member.ended if member is not None else self._counts.last_ends.get(handle.run_id)
            )
            alone = member is None or member.users <= 1
        code, reason = ended or (status.exit_code, status.reason)
        if not alone:  # another one's statement may have been the cause
            return error
        if reason == "memory" or (reason is None and code in _MEMORY_CODES):
            return EngineOutOfMemoryError(
                "the engine ran out of memory",
                hint="read fewer rows or columns, or give the engine more memory",
            )
        return error

    def improve_soon(self, engine: EngineName) -> None:
        """Prepare faster starts of ``engine`` in the background, where nobody has begun to."""
        with self._changed:
            if self._closed or engine in self._improving:
                return
            name = f"improve-{engine.value}"
            thread = threading.Thread(target=self._improve, args=(engine,), name=name, daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
            thread.start()

    def views(self) -> tuple[EngineView, ...]:
        """What lives now, by start."""
        with self._changed:
            return tuple(member.view() for member in self._members.values())

    def counts(self) -> PoolCounts:
        """Totals since the start of this replica."""
        with self._changed:
            return self._counts.copy()

    def recover(self) -> int:
        """Before the first ``acquire``: kill and forget the engines that an earlier life left."""
        return self._records.end_those_before(self._launcher)

    def tick(self) -> int:
        """Stop what is idle, old, large or dead; how many engines that were."""
        done = 0
        for member in self._snapshot():
            if member.failure is not None:
                self._end(member, timedelta(0))  # once more, if its cluster did not hear of it
            if member.client is None:
                continue
            reason = self._verdicts.of(member, kept=member.key in self._warm)
            if reason is None:
                continue
            with self._changed:
                if reason == "idle" and member.users:
                    continue
                self._retire(member, reason)
                stoppable = not member.users or reason in {"dead", "deaf"}
            if stoppable:
                self._end(member, self._settings.stop_grace)
                done += 1
        self._records.seen(self._launcher)
        return done

    def close(self) -> None:
        """Stop everything; those who wait for an engine get an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stop.set()
        for member in self._snapshot():
            with self._changed:
                self._retire(member, "the service stops")
            self._end(member, self._settings.stop_grace)
        for thread in self._threads:
            thread.join()

    def _open_member(self, key: Key) -> Member | None:
        """The one that takes statements; not one whose cluster gets nothing new. Holds the lock."""
        member = self._current.get(key)
        if member is not None and (why := self._places.closed_to(member)) is not None:
            self._retire(member, why)
            return None
        return member

    def _begin(
        self, key: Key, credentials: Credentials | None, cluster: str | None = None
    ) -> Member:
        """Reserve the place, and start the engine on a thread of its own. Holds the lock."""
        now = self._clock.now()
        run_id = self._places.name(key, now, cluster)
        member = Member(
            key=key,
            run_id=run_id,
            created_at=now,
            used_at=self._clock.monotonic(),
            credentials=credentials,
            obstacles=ObstacleKeeper(database=self._database, run_id=run_id),
        )
        self._current[key] = member
        self._members[member.run_id] = member
        name = f"engine-{member.run_id}"
        thread = threading.Thread(target=self._start, args=(member,), name=name, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()
        return member

    def _start(self, member: Member) -> None:
        """Launch and wait until it answers; whatever happens, those who wait are told."""
        began = self._clock.monotonic()
        try:
            answering = self._starter.launch(member)
            self._take_in(member, answering)
        except ServiceError as error:
            self._give_up(member, error)
            return
        except Exception:  # the outermost of this thread: without it they would wait for ever
            log.exception("engine start broke", extra={"run": member.run_id})
            self._give_up(member, EngineStartError("the service failed to start the engine"))
            return
        assert member.client is not None
        with self._changed:
            member.start_seconds = self._clock.monotonic() - began
            self._counts.started += 1
        log.info(
            "engine ready",
            extra={"run": member.run_id, "engine": member.key.engine.value,
                   "seconds": round(member.start_seconds, 3)},
        )  # fmt: skip
        if self._comes_to_rest(member):
            member.client.warm_up()
        with self._changed:
            member.warming = 0
            self._changed.notify_all()
        self._improve(member.key.engine)

    def _take_in(self, member: Member, answering: Answering) -> None:
        """Those who wait for it may have it now."""
        with self._changed:
            member.client, member.address = answering.client, answering.address
            member.token = answering.token
            member.probed_at = member.ready_at = self._clock.monotonic()
            self._changed.notify_all()
        self._records.ready(member.run_id)

    def _comes_to_rest(self, member: Member) -> bool:
        """Let those go first that the engine was started for; whether it is to warm up then.

        A warm-up beside them would only make them later, and they warm it as well.
        """
        with self._changed:
            self._changed.wait(_STOPPED)  # who waited for it takes it now
            while member.users and not self._leaves(member):
                member.warming = 0
                self._changed.wait(_STOPPED)
            member.warming = 1
            return not self._leaves(member)

    def _leaves(self, member: Member) -> bool:
        return self._closed or member.retired is not None

    def _give_up(self, member: Member, error: ServiceError) -> None:
        log.warning("engine not started", extra={"run": member.run_id, "reason": str(error)})
        with self._changed:
            member.failure = error
            self._retire(member, "it did not start")
            self._counts.failed += 1
            self._changed.notify_all()
        self._end(member, timedelta(0))

    def _improve(self, name: EngineName) -> None:
        """Once a life, after the first start of each engine."""
        with self._changed:
            if not self._settings.improve or name in self._improving or self._closed:
                return
            self._improving.add(name)
        try:
            self._engines[name].improve(self._launcher, self._clock, self._stop)
        except ServiceError as error:
            log.warning("engine not improved", extra={"engine": name.value, "reason": str(error)})

    def _retire(self, member: Member, reason: str) -> None:
        """No new statements for it. Holds the lock."""
        member.retired = member.retired or reason
        if self._current.get(member.key) is member:
            del self._current[member.key]
            self._counts.retire(reason)
        self._changed.notify_all()

    def _end(self, member: Member, grace: timedelta) -> None:
        """Stop the process, write that down, forget it; only the first call does."""
        with self._changed:
            if member.ending:
                return
            member.ending = True
        reason = member.retired or "stopped"
        before = self._launcher.status(member.run_id)
        try:
            status = self._launcher.stop(member.run_id, grace=grace, reason=reason)
        except ServiceError as error:  # its cluster does not answer: the next look tries again
            log.warning("engine not ended", extra={"run": member.run_id, "reason": error.message})
            with self._changed:
                member.ending = False
            return
        if member.client is not None:
            member.client.close()
        died = before.reason if before.state.ended else None
        with self._changed:
            member.ended = (status.exit_code, died if before.state.ended else status.reason)
            self._counts.remember(member.run_id, member.ended)
            del self._members[member.run_id]
            self._changed.notify_all()
        if before.state.ended:
            tail = self._launcher.logs(member.run_id).data[-LOG_TAIL:].decode(errors="replace")
            log.warning(
                "engine died",
                extra={"run": member.run_id, "exit_code": status.exit_code, "log": tail},
            )
        self._records.ended(member.run_id, status, reason=reason)
        self._launcher.forget(member.run_id)

    def _snapshot(self) -> tuple[Member, ...]:
        with self._changed:
            return tuple(self._members.values())


def _again(error: ServiceError) -> ServiceError:
    """The same failure for another who waited: an exception is raised by one thread only."""
    if isinstance(error, EngineRefusedError):
        return EngineRefusedError(error.message, hint=error.hint, **error.details)
    if isinstance(error, EngineStartError):
        return EngineStartError(error.message, hint=error.hint, **error.details)
    return EngineStartError(f"the engine did not start: {error.message}", hint=error.hint)
