"""Bringing an engine to the point where it answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from jobs.engines.api import Engine, EngineClient, EngineNeed, PodTerms, Terms
from jobs.engines.errors import EngineRefusedError, EngineStartError
from jobs.engines.members import Member, PoolSettings
from jobs.launchers.api import Launcher, LaunchRefusedError, RunSpec
from jobs.launchers.problems import Again, Problem
from jobs.lifecycle.runs import cu_rate
from jobs.lifecycle.spec import EngineName
from jobs.store import run_rows
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.meta.database import Database

LISTENING = timedelta(milliseconds=10)  #: between two looks whether a new engine listens
LOG_TAIL = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An engine that answers at ``address``, to who has its ``token``."""

    client: EngineClient
    address: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts engines of a pool, one after another or side by side.

    ``several``: there are other clusters where a start may be tried. ``stop`` ends the waiting.
    """

    database: Database
    engines: Mapping[EngineName, Engine]
    launcher: Launcher
    clock: Clock
    settings: PoolSettings
    terms: Terms
    several: bool
    stop: threading.Event

    def launch(self, member: Member) -> Answering:
        """Write down what is to start, start it, and wait until it answers.

        Raises ``EngineStartError`` with the end of its log, and ``EngineRefusedError``.
        """
        engine = self.engines[member.key.engine]
        terms = self.terms(member.key.project_id, member.key.queue).with_image(member.key.image)
        need = EngineNeed(
            run_id=member.run_id,
            project_id=member.key.project_id,
            queue=member.key.queue,
            directory=self.launcher.directory(member.run_id),
            memory_bytes=self.settings.memory[member.key.engine],
            cores=self.settings.cores,
            terms=terms,
            credentials=member.credentials,
        )
        spec = engine.plan(need)
        assert spec.port is not None
        self._write_down(member, terms, spec)
        if self.stop.is_set():
            raise EngineStartError("the service is stopping")
        try:
            self.launcher.launch(spec)
        except LaunchRefusedError as error:
            member.unanswered = self.several and error.problem.code == "cluster_unavailable"
            raise _refused(member.key.engine, error.problem) from error
        address = self._wait_listening(member, spec.port)
        client = engine.connect(address, need.token)
        if not self._answers(member, client):
            client.close()
            raise self._error(member, "it listens but does not answer")
        return Answering(client=client, address=address, token=need.token)

    def _write_down(self, member: Member, terms: PodTerms, spec: RunSpec) -> None:
        """The run's row, with what it holds: the engine and the executors that it keeps."""
        cpu_millis = self.settings.cores * 1000
        memory_bytes = self.settings.memory[member.key.engine]
        if terms.executors is not None and spec.pod is not None and spec.pod.makes_pods:
            size, least = terms.executors.size, max(terms.executors.least, 1)
            cpu_millis += least * size.cores * 1000
            memory_bytes += least * size.memory_bytes
            member.executor_cu = cu_rate(size.cores * 1000, size.memory_bytes)
        with self.database.transaction() as tx:
            run_rows.plan_run(
                tx,
                run_id=member.run_id,
                project_id=member.key.project_id,
                queue=member.key.queue,
                engine=member.key.engine,
                image=terms.image,
                owner=self.settings.owner,
                at=member.created_at,
                cpu_millis=cpu_millis,
                memory_bytes=memory_bytes,
            )

    def _wait_listening(self, member: Member, port: int) -> str:
        end = self.clock.monotonic() + self.settings.start_timeout.total_seconds()
        while (address := self.launcher.address(member.run_id, port)) is None:
            status = self.launcher.status(member.run_id)
            member.obstacles.tell(status)
            if status.state.ended:
                raise self._error(member, "it ended")
            if status.problem is not None and status.problem.again is Again.NEVER:
                raise self._error(member, status.problem.message)
            if self.clock.monotonic() > end:
                raise self._error(member, "it does not listen in time")
            if self.clock.wait(self.stop, LISTENING):
                raise self._error(member, "the service is stopping")
        return address

    def _answers(self, member: Member, client: EngineClient) -> bool:
        """Whether it does in time.

        The first calls may be cut off: gRPC for Java opens its port before it can serve streams.
        """
        end = self.clock.monotonic() + self.settings.start_timeout.total_seconds()
        while (left := end - self.clock.monotonic()) > 0:
            if client.alive(left):
                return True
            ended = self.launcher.status(member.run_id).state.ended
            if ended or self.clock.wait(self.stop, LISTENING):
                return False
        return False

    def _error(self, member: Member, what: str) -> ServiceError:
        status = self.launcher.status(member.run_id)
        if status.problem is not None:
            return _refused(member.key.engine, status.problem)
        tail = self.launcher.logs(member.run_id).data[-LOG_TAIL:].decode(errors="replace")
        return EngineStartError(
            f"the {member.key.engine.value} engine did not start: {what}",
            log=tail.strip(),
            exit_code=status.exit_code,
        )


def _refused(engine: EngineName, problem: Problem) -> ServiceError:
    """What the place where runs live has against the engine."""
    kind = EngineRefusedError if problem.again is Again.NEVER else EngineStartError
    return kind(
        f"the {engine.value} engine did not start: {problem.message}",
        hint=problem.hint,
        **problem.details(),
    )
