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
from datetime import datetime, timedelta

from jobs.access.credentials import Access, Credentials, CredentialsMissingError, shared
from jobs.clusters import DRAINED, Clusters
from jobs.engines.api import Engine, EngineNeed, Images, Terms, no_terms
from jobs.engines.errors import (
    EngineLostError,
    EngineOutOfMemoryError,
    EngineRefusedError,
    EngineStartError,
    StatementInterruptedError,
)
from jobs.engines.members import EngineHandle, EngineView, Key, Member, PoolCounts, PoolSettings
from jobs.engines.obstacles import ObstacleKeeper
from jobs.launchers.api import Launcher, LaunchRefusedError
from jobs.launchers.problems import Again, Problem
from jobs.lifecycle.runs import cluster_of, cu_rate, is_of_job, run_in
from jobs.lifecycle.spec import EngineName
from jobs.store import run_rows
from jobs.views import Obstacle
from sql.statement import Binding
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, RunId, new_id
from storage.meta.database import Database

log = logging.getLogger(__name__)

__all__ = ["EngineHandle", "EnginePool", "EngineView", "PoolCounts", "PoolSettings"]

_LISTENING = timedelta(milliseconds=10)  # between two looks whether a new engine listens
_STOPPED = 0.05  # seconds between two looks of a waiting caller at its stop event
_DYING = 1.0  # seconds from the loss of a connection to the end of its process
_SEEN = timedelta(seconds=10)
_SILENT = timedelta(minutes=5)
_LOG_TAIL = 4000
_CREDENTIALS = "credentials"  # that it goes for
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
        self._images = images
        self._terms = terms
        self._access = access
        self._clusters = clusters
        self._database = database
        self._engines: Mapping[EngineName, Engine] = {engine.name: engine for engine in engines}
        self._launcher = launcher
        self._clock = clock
        self._settings = settings
        self._changed = threading.Condition()  # guards all below
        self._current: dict[Key, Member] = {}  # those that take statements, or soon will
        self._members: dict[RunId, Member] = {}  # all that may live
        self._counts = PoolCounts()
        self._warm: frozenset[Key] = frozenset()  # kept though nobody uses them
        self._closed = False
        self._improving: set[EngineName] = set()
        self._stop = threading.Event()  # for our own threads
        self._threads: list[threading.Thread] = []
        self._seen_at: datetime | None = None

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
                    self._retire(member, _CREDENTIALS)
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
                if same and member.obstacles is not None and member.obstacles.told is not None:
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
            if self._clock.monotonic() > patience or self._clock.wait(self._stop, _LISTENING):
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
        """Before the first ``acquire``: kill and forget the engines that an earlier life left.

        Runs of jobs stay, since they may be adopted. In a place that replicas share they are not
        even looked at: those of other replicas are among them.
        """
        found = 0
        with self._database.read() as tx:
            of_jobs = run_rows.living_job_runs(tx, self._settings.owner)
        for run_id in list(self._launcher.known()):
            if run_id in of_jobs or (self._launcher.place is not None and is_of_job(run_id)):
                continue
            try:
                if not self._launcher.status(run_id).state.ended:
                    self._launcher.stop(run_id, grace=timedelta(0), reason="its service died")
                    found += 1
                self._launcher.forget(run_id)
            except ServiceError as error:  # its cluster does not answer: the lease ends it there
                log.warning("engine not ended", extra={"run": run_id, "reason": error.message})
        with self._database.transaction() as tx:
            run_rows.end_owned(tx, self._settings.owner, at=self._clock.now())
        if found:
            log.warning("runs of a dead service killed", extra={"count": found})
        return found

    def tick(self) -> int:
        """Stop what is idle, old, large or dead; how many engines that were."""
        done = 0
        for member in self._snapshot():
            if member.failure is not None:
                self._end(member, timedelta(0))  # once more, if its cluster did not hear of it
            if member.client is None:
                continue
            reason = self._verdict(member)
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
        self._tell_seen()
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
        if member is not None and (why := self._closed_to(member)) is not None:
            self._retire(member, why)
            return None
        return member

    def _closed_to(self, member: Member) -> str | None:
        """Why the engine's cluster gets nothing new, if there is another that does."""
        if self._clusters is None or self._clusters.fleet is None:
            return None
        why = self._clusters.closed_lately().get(cluster_of(member.run_id))
        if why is None:
            return None
        if why == DRAINED:
            return "drained"
        return "silent cluster" if self._settled(member.key, member.run_id) else None

    def _left_by(self, member: Member) -> str | None:
        """Whether the queue does not name the engine's cluster any more."""
        if self._clusters is None or self._clusters.fleet is None:
            return None
        weights = self._terms(member.key.project_id, member.key.queue).clusters
        named = not weights or cluster_of(member.run_id) in weights
        return None if named else "its queue moved"

    def _settled(self, key: Key, run_id: RunId) -> str | None:
        assert self._clusters is not None
        return self._clusters.settle(self._terms(key.project_id, key.queue).clusters, run_id)

    def _named(self, key: Key, at: datetime, cluster: str | None) -> RunId:
        """A new run's name, which tells its cluster. Raises ``EngineStartError``."""
        run_id = RunId(new_id("run", at))
        if self._clusters is None or self._clusters.fleet is None:
            return run_id
        closed = self._clusters.closed_lately()
        if cluster is None or cluster in closed:
            cluster = self._settled(key, run_id)
        if cluster is None:
            told = ", ".join(f"{name} {why}" for name, why in closed.items())
            raise EngineStartError(
                f"no cluster of the queue takes a new engine now: {told}",
                hint="`dli cluster list` tells more",
            )
        return run_in(run_id, cluster)

    def _begin(
        self, key: Key, credentials: Credentials | None, cluster: str | None = None
    ) -> Member:
        """Reserve the place, and start the engine on a thread of its own. Holds the lock."""
        now = self._clock.now()
        member = Member(
            key=key,
            run_id=self._named(key, now, cluster),
            created_at=now,
            used_at=self._clock.monotonic(),
            credentials=credentials,
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
            self._launch(member)
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

    def _launch(self, member: Member) -> None:
        engine, settings = self._engines[member.key.engine], self._settings
        directory = self._launcher.directory(member.run_id)
        terms = self._terms(member.key.project_id, member.key.queue).with_image(member.key.image)
        need = EngineNeed(
            run_id=member.run_id,
            project_id=member.key.project_id,
            queue=member.key.queue,
            directory=directory,
            memory_bytes=settings.memory[member.key.engine],
            cores=settings.cores,
            terms=terms,
            credentials=member.credentials,
        )
        spec = engine.plan(need)
        assert spec.port is not None
        cpu_millis, memory_bytes = settings.cores * 1000, settings.memory[member.key.engine]
        if terms.executors is not None and spec.pod is not None and spec.pod.makes_pods:
            size, least = terms.executors.size, max(terms.executors.least, 1)
            cpu_millis += least * size.cores * 1000
            memory_bytes += least * size.memory_bytes
            member.executor_cu = cu_rate(size.cores * 1000, size.memory_bytes)
        with self._database.transaction() as tx:
            run_rows.plan_run(
                tx,
                run_id=member.run_id,
                project_id=member.key.project_id,
                queue=member.key.queue,
                engine=member.key.engine,
                image=terms.image,
                owner=settings.owner,
                at=member.created_at,
                cpu_millis=cpu_millis,
                memory_bytes=memory_bytes,
            )
        if self._stop.is_set():
            raise EngineStartError("the service is stopping")
        try:
            self._launcher.launch(spec)
        except LaunchRefusedError as error:
            several = self._clusters is not None and self._clusters.fleet is not None
            member.unanswered = several and error.problem.code == "cluster_unavailable"
            raise _refused(member.key.engine, error.problem) from error
        address = self._wait_listening(member, spec.port)
        client = engine.connect(address, need.token)
        if not client.alive(settings.start_timeout.total_seconds()):
            client.close()
            raise self._start_error(member, "it listens but does not answer")
        with self._changed:
            member.client, member.address, member.token = client, address, need.token
            member.probed_at = member.ready_at = self._clock.monotonic()
            self._changed.notify_all()
        with self._database.transaction() as tx:
            run_rows.ready_run(tx, member.run_id, at=self._clock.now())

    def _wait_listening(self, member: Member, port: int) -> str:
        end = self._clock.monotonic() + self._settings.start_timeout.total_seconds()
        while (address := self._launcher.address(member.run_id, port)) is None:
            status = self._launcher.status(member.run_id)
            self._obstacles(member).tell(status)
            if status.state.ended:
                raise self._start_error(member, "it ended")
            if status.problem is not None and status.problem.again is Again.NEVER:
                raise self._start_error(member, status.problem.message)
            if self._clock.monotonic() > end:
                raise self._start_error(member, "it does not listen in time")
            if self._clock.wait(self._stop, _LISTENING):
                raise self._start_error(member, "the service is stopping")
        return address

    def _obstacles(self, member: Member) -> ObstacleKeeper:
        if member.obstacles is None:
            member.obstacles = ObstacleKeeper(database=self._database, run_id=member.run_id)
        return member.obstacles

    def _start_error(self, member: Member, what: str) -> ServiceError:
        status = self._launcher.status(member.run_id)
        if status.problem is not None:
            return _refused(member.key.engine, status.problem)
        tail = self._launcher.logs(member.run_id).data[-_LOG_TAIL:].decode(errors="replace")
        return EngineStartError(
            f"the {member.key.engine.value} engine did not start: {what}",
            log=tail.strip(),
            exit_code=status.exit_code,
        )

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

    def _verdict(self, member: Member) -> str | None:
        """Why the engine shall get no more statements, if it shall not."""
        settings, now = self._settings, self._clock.monotonic()
        if member.retired is not None:
            return self._deaf(member, now) or member.retired
        status = self._launcher.status(member.run_id)
        if status.state.ended:
            return "dead"
        self._obstacles(member).tell(status)
        if (closed := self._closed_to(member) or self._left_by(member)) is not None:
            return closed
        if (deaf := self._deaf(member, now)) is not None:
            return deaf
        if self._images is not None:
            wanted = self._images(member.key.project_id, member.key.queue)
            if member.key.image not in wanted:
                return "image"
        unused = not member.users and member.key not in self._warm
        if unused and now - member.used_at >= settings.idle.total_seconds():
            return "idle"
        if now - member.ready_at >= settings.max_age.total_seconds():
            return "old"
        if member.served >= settings.max_statements:
            return "served enough"
        if status.rss_bytes > settings.max_rss_share * settings.memory[member.key.engine]:
            return "large"
        return self._disowned(member, now)

    def _disowned(self, member: Member, now: float) -> str | None:
        """Whether its project has other credentials by now; looked at now and then, since whoever
        acquires an engine looks as well."""
        if now - member.known_at < _SEEN.total_seconds():
            return None
        member.known_at = now
        try:
            same = self._access(member.key.project_id) == member.credentials
        except CredentialsMissingError:
            same = False
        return None if same else _CREDENTIALS

    def _deaf(self, member: Member, now: float) -> str | None:
        """Ask it something, now and then; "deaf" when it was silent for too long."""
        if now - member.probed_at < self._settings.probe_every.total_seconds():
            return None
        client = member.client
        assert client is not None
        member.probed_at = now
        if client.alive(self._settings.probe_timeout.total_seconds()):
            member.silent_since = None
            return None
        member.silent_since = member.silent_since or now
        silent = self._clock.monotonic() - member.silent_since
        return "deaf" if silent >= self._settings.deaf_after.total_seconds() else None

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
            tail = self._launcher.logs(member.run_id).data[-_LOG_TAIL:].decode(errors="replace")
            log.warning(
                "engine died",
                extra={"run": member.run_id, "exit_code": status.exit_code, "log": tail},
            )
        with self._database.transaction() as tx:
            run_rows.end_run(
                tx,
                member.run_id,
                at=self._clock.now(),
                exit_code=status.exit_code,
                reason=reason,
                cpu=timedelta(seconds=status.cpu_seconds),
            )
        self._launcher.forget(member.run_id)

    def _tell_seen(self) -> None:
        now = self._clock.now()
        if self._seen_at is not None and now - self._seen_at < _SEEN:
            return
        self._seen_at = now
        with self._database.transaction() as tx:
            run_rows.see_runs(tx, self._settings.owner, at=now)
            run_rows.end_unseen(tx, before=now - _SILENT, at=now)

    def _snapshot(self) -> tuple[Member, ...]:
        with self._changed:
            return tuple(self._members.values())


def _refused(engine: EngineName, problem: Problem) -> ServiceError:
    """What the place where runs live has against the engine."""
    kind = EngineRefusedError if problem.again is Again.NEVER else EngineStartError
    return kind(
        f"the {engine.value} engine did not start: {problem.message}",
        hint=problem.hint,
        **problem.details(),
    )


def _again(error: ServiceError) -> ServiceError:
    """The same failure for another who waited: an exception is raised by one thread only."""
    if isinstance(error, EngineRefusedError):
        return EngineRefusedError(error.message, hint=error.hint, **error.details)
    if isinstance(error, EngineStartError):
        return EngineStartError(error.message, hint=error.hint, **error.details)
    return EngineStartError(f"the engine did not start: {error.message}", hint=error.hint)
