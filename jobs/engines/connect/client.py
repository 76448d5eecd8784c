"""A thin client of the Spark Connect protocol: one RPC a statement, no SparkSession, no pandas.

Every text is sent as a relation (``root.sql``), never as a command: both servers run it exactly
once and answer with Arrow. One channel a server carries all its sessions.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc

from jobs.engines.connect import failures
from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.protos import base, commands, service
from jobs.engines.connect.stream import ConnectStream
from jobs.engines.connect.tables import quoted, relation
from jobs.engines.errors import (
    EngineLostError,
    EngineStatementError,
    InputFileBrokenError,
    InputFileMissingError,
    StatementInterruptedError,
)
from sql.statement import Binding
from storage.base.errors import ServiceError

log = logging.getLogger(__name__)

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a new server on an old port is a new server
    # Only bit 0, the identity: Sail would pack all rows, nine tenths of the work of a large result.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("SingleThreadedUnaryStream", 1),  # no thread for each answer
    ("grpc.enable_http_proxy", 0),  # that of the environment leads elsewhere
)
_USER = "dli"
_SHORT = 10.0  # seconds for what costs the server nothing
_LONG = 300.0  # seconds for what may list files in an object store
_REUSES = 200  # statements of one session; both servers keep some memory of each
_FRESH = 60.0  # seconds that an unused session is kept; Sail ends it after 900
_INTERRUPTS = 20  # tries, 50 ms apart, to stop an operation that has not begun yet


@dataclass(slots=True, kw_only=True)
class _Seat:
    """A session of the server. Its id is unguessable: on Sail that is all that protects it."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    server_id: str = ""  #: of the server's own session, to notice that it was restarted
    configured: bool = False
    uses: int = 0
    left_at: float = 0.0
    bound: dict[str, Binding] = field(default_factory=dict)  #: by view, as the server has them


class _Calls:
    """What may be asked of a server, each call with the token that it wants."""

    def __init__(self, channel: grpc.Channel, token: str | None) -> None:
        stub = service.SparkConnectServiceStub(channel)
        told = None if token is None else (("authorization", f"Bearer {token}"),)
        self.config = partial(stub.Config, metadata=told)
        self.execute = partial(stub.ExecutePlan, metadata=told)
        self.interrupt = partial(stub.Interrupt, metadata=told)
        self.release = partial(stub.ReleaseSession.future, metadata=told)


class ConnectClient:
    """One server behind ``host:port``."""

    def __init__(self, address: str, dialect: Dialect, token: str | None = None) -> None:
        """``token`` is what the server asks for; None: it asks for none."""
        self._dialect = dialect
        self._host = address.rpartition(":")[0]
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._calls = _Calls(self._channel, token)
        self._releases: set[Any] = set()
        self._seats: list[_Seat] = []
        self._seating = threading.Lock()  # guards _seats
        self._probe = str(uuid.uuid4())  # one session for all probes: servers keep them for long
        self._cooled = threading.Event()  # set: no more warming up
        self._warming: Callable[[], object] | None = None  # interrupts what warms up now

    def alive(self, timeout: float) -> bool:
        request = base.ConfigRequest(session_id=self._probe, client_type=_USER)
        request.user_context.user_id = _USER
        request.operation.get_option.keys.append("spark.sql.session.timeZone")
        try:
            self._calls.config(request, timeout=timeout)
        except grpc.RpcError:
            return False
        return True

    def warm_up(self) -> None:
        if not self._dialect.warm_up:
            return
        session = self.open_session()
        try:
            for text in self._dialect.warm_up:
                operation_id = str(uuid.uuid4())
                self._warming = partial(session.interrupt, operation_id)
                if self._cooled.is_set():
                    return
                for _ in session.execute(text, operation_id=operation_id):
                    pass
            self.idle()  # its status pages as well
        except ServiceError as error:
            log.info("warm-up ended early", extra={"reason": error.message})
        finally:
            self._warming = None
            session.release()

    def end_warm_up(self) -> None:
        self._cooled.set()
        interrupt = self._warming
        if interrupt is not None:
            interrupt()

    def idle(self) -> bool:
        if self._dialect.idle is None:
            return False
        try:
            return self._dialect.idle((self._host, _status_port(self._calls, self._probe)))
        except grpc.RpcError as error:
            log.info("status port not told", extra={"code": str(error.code())})
            return False

    def open_session(self) -> ConnectSession:
        """For one statement. The server's session may have served another one of this engine.

        What that one left are views, which no later text can name: it names only what is bound
        for it, and binding replaces.
        """
        oldest = time.monotonic() - _FRESH
        with self._seating:
            stale = [seat for seat in self._seats if seat.left_at < oldest]
            fresh = self._seats[len(stale) :]  # in the order in which they were left
            seat = fresh.pop() if fresh else _Seat()
            self._seats = fresh
        for old in stale:
            self._release(old)
        return ConnectSession(self._calls, self._dialect, seat, host=self._host, leave=self._leave)

    def open_client_session(self, session_id: str) -> ConnectClientSession:
        seat = _Seat(id=session_id)
        session = ConnectSession(self._calls, self._dialect, seat, host=self._host, leave=self._end)
        return ConnectClientSession(session)

    def _end(self, seat: _Seat, *, clean: bool) -> None:
        """Release a session and wait until its server has heard it."""
        self._release(seat)
        for call in list(self._releases):
            try:
                call.result(_SHORT)
            except grpc.RpcError as error:
                log.info("release not heard", extra={"code": str(error.code())})
            except grpc.FutureTimeoutError:
                log.info("release not heard in time")

    def _leave(self, seat: _Seat, *, clean: bool) -> None:
        """Keep a session for the next statement, or end it."""
        if clean and seat.uses < _REUSES:
            seat.left_at = time.monotonic()
            with self._seating:
                self._seats.append(seat)
        else:
            self._release(seat)

    def _release(self, seat: _Seat) -> None:
        request = base.ReleaseSessionRequest(session_id=seat.id, client_type=_USER)
        request.user_context.user_id = _USER
        try:
            call = self._calls.release(request, timeout=_SHORT)
        except ValueError:  # the channel is closed: so is the session
            log.debug("released after the channel")
            return
        self._releases.add(call)  # or it would be cancelled as soon as nobody holds it
        call.add_done_callback(self._releases.discard)

    def close(self) -> None:
        self._channel.close()


class ConnectSession:
    """One statement's use of a session of the server."""

    def __init__(
        self,
        calls: _Calls,
        dialect: Dialect,
        seat: _Seat,
        *,
        host: str,
        leave: Callable[..., None],
    ) -> None:
        self._calls = calls
        self._dialect = dialect
        self._seat = seat
        self._host = host  # of the server
        self._leave = leave
        self._clean = True  # nothing failed, nothing was interrupted: the session may go on
        self._files: list[str] = []
        self._lock = threading.Lock()  # guards _active and _interrupted
        self._active: set[str] = set()
        self._interrupted: set[str] = set()
        self._swept: set[str] = set()
        seat.uses += 1
        if dialect.confs and not seat.configured:
            self.configure(dialect.confs)

    def bind(self, binding: Binding) -> None:
        for file in binding.files:
            self._dialect.check(file.uri)
        self._require_present(file.uri for file in binding.files)
        self._files.extend(file.uri for file in binding.files)
        bound, name = self._seat.bound, binding.view.lower()
        if bound.get(name) == binding:
            return  # an earlier statement of the session read the same files
        bound.pop(name, None)
        request = self._request(str(uuid.uuid4()))
        view = request.plan.command.create_dataframe_view
        view.name = quoted(binding.view) if self._dialect.quoted_views else binding.view
        view.replace = True
        view.input.CopyFrom(relation(binding, self._dialect))
        try:
            self._finish(request)
        except EngineStatementError as error:
            if error.code != EngineStatementError.code:
                raise
            message = f"the files of {binding.view} cannot be read: {error.message}"
            raise InputFileBrokenError(message, **error.details) from error  # type: ignore[arg-type]
        bound[name] = binding

    def execute(self, sql: str, *, operation_id: str) -> ConnectStream:
        request = self._request(operation_id)
        request.plan.root.sql.query = sql
        return self._start(request)

    def write(self, sql: str, *, operation_id: str, uri: str) -> None:
        self._dialect.check(uri)
        request = self._request(operation_id)
        write = request.plan.command.write_operation
        write.input.sql.query = sql
        write.source = "parquet"
        write.path = self._dialect.address(uri)
        write.mode = commands.WriteOperation.SAVE_MODE_ERROR_IF_EXISTS
        write.options["compression"] = "zstd"
        for _ in self._start(request):
            pass

    def explain(self, sql: str) -> str:
        stream = self.execute(f"EXPLAIN {sql}", operation_id=str(uuid.uuid4()))
        rows = [str(row) for batch in stream for row in batch.columns[-1].to_pylist()]
        return "\n".join(rows)

    def interrupt(self, operation_id: str) -> bool:
        self._clean = False
        with self._lock:
            self._interrupted.add(operation_id)
        request = base.InterruptRequest(session_id=self._seat.id, client_type=_USER)
        request.user_context.user_id = _USER
        request.interrupt_type = base.InterruptRequest.INTERRUPT_TYPE_OPERATION_ID
        request.operation_id = operation_id
        pause = threading.Event()
        for _ in range(_INTERRUPTS):
            try:
                stopped = self._calls.interrupt(request, timeout=2.0).interrupted_ids
            except grpc.RpcError as error:
                return bool(error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED)
            with self._lock:
                waiting = operation_id in self._active
            if operation_id in stopped or not waiting:
                self._sweep_beside(operation_id)
                return True
            pause.wait(0.05)  # it was sent, but the server has not registered it yet
        return False

    def release(self) -> None:
        with self._lock:
            ended = not self._active
        self._leave(self._seat, clean=self._clean and ended)

    def sweep(self, operation_id: str) -> None:
        """End what the operation left running, where an interrupt alone does not."""
        kill = self._dialect.kill_leftovers
        if kill is not None:
            with self._translated():
                port = _status_port(self._calls, str(uuid.uuid4()))
            kill((self._host, port), operation_id)

    def _sweep_beside(self, operation_id: str) -> None:
        """``sweep`` on a thread of its own, once: the statement need not wait for it."""
        if self._dialect.kill_leftovers is None or operation_id in self._swept:
            return
        self._swept.add(operation_id)
        name = f"sweep-{operation_id}"
        threading.Thread(target=self._sweep, args=(operation_id,), name=name, daemon=True).start()

    def _sweep(self, operation_id: str) -> None:
        try:
            self.sweep(operation_id)
        except ServiceError as error:
            log.info("sweep ended early", extra={"reason": error.message})

    def configure(self, confs: Mapping[str, str]) -> None:
        """Set confs of this session only."""
        request = base.ConfigRequest(session_id=self._seat.id, client_type=_USER)
        request.user_context.user_id = _USER
        for key, value in confs.items():
            pair = request.operation.set.pairs.add()
            pair.key, pair.value = key, value
        with self._translated():
            answer = self._calls.config(request, timeout=_SHORT)
        self._seat.server_id = answer.server_side_session_id
        self._seat.configured = True

    def _request(self, operation_id: str) -> Any:
        request = base.ExecutePlanRequest(
            session_id=self._seat.id, operation_id=operation_id, client_type=_USER
        )
        request.user_context.user_id = _USER
        if self._seat.server_id:
            request.client_observed_server_side_session_id = self._seat.server_id
        chunking = request.request_options.add().result_chunking_options
        chunking.allow_arrow_batch_chunking = True
        return request

    def _start(self, request: Any) -> ConnectStream:
        operation_id: str = request.operation_id
        with self._lock:
            if operation_id in self._interrupted:
                raise _interrupted()
            self._active.add(operation_id)
        try:
            responses = self._calls.execute(request)
        except ValueError as error:
            raise EngineLostError("the connection to the engine was closed") from error
        return ConnectStream(
            self._watched(responses),
            translate=self._failed,
            ended=lambda: self._end(operation_id),
        )

    def _watched(self, responses: Any) -> Iterator[Any]:
        for response in responses:
            self._seat.server_id = self._seat.server_id or response.server_side_session_id
            yield response

    def _end(self, operation_id: str) -> None:
        """Called when the answer ends, well or not: an interrupted one was interrupted.

        Sail ends the answer of an interrupted statement as if it had no more rows.
        """
        with self._lock:
            self._active.discard(operation_id)
            interrupted = operation_id in self._interrupted
        if interrupted:
            raise _interrupted()
        self._require_present(self._files)

    def _finish(self, request: Any) -> None:
        """Run a command that gives no rows and is done soon."""
        with self._translated():
            for response in self._calls.execute(request, timeout=_LONG):
                self._seat.server_id = self._seat.server_id or response.server_side_session_id

    def _failed(self, error: grpc.RpcError) -> ServiceError:
        self._clean = False
        return failures.translate(error, engine=self._dialect.name)

    def _require_present(self, uris: Iterable[str]) -> None:
        """Where a lost file would read as an empty one, look ourselves, before and after."""
        present = self._dialect.present
        if present is None:
            return
        for uri in uris:
            if not present(uri):
                raise InputFileMissingError(
                    f"the file {uri} is gone", hint="refresh the table", file=uri
                )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._failed(error) from error
        except ValueError as error:  # gRPC's word for a closed channel
            raise EngineLostError("the connection to the engine was closed") from error


class ConnectClientSession:
    """A session that another process uses, as long as that lives."""

    def __init__(self, session: ConnectSession) -> None:
        self._session = session

    def configure(self, confs: Mapping[str, str]) -> None:
        if confs:
            self._session.configure(confs)

    def bind(self, binding: Binding) -> None:
        self._session.bind(binding)

    def end(self) -> None:
        """The server interrupts what a released session runs."""
        self._session.release()


def _interrupted() -> StatementInterruptedError:
    return StatementInterruptedError("the statement was interrupted")


def _status_port(calls: _Calls, session_id: str) -> int:
    """Where the server tells of its jobs. Raises ``grpc.RpcError``."""
    request = base.ConfigRequest(session_id=session_id, client_type=_USER)
    request.user_context.user_id = _USER
    request.operation.get_option.keys.append("spark.ui.port")
    [pair] = calls.config(request, timeout=_SHORT).pairs
    return int(pair.value)
