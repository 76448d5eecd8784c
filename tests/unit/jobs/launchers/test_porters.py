"""What is asked of porters, and when they are left alone. The porter itself: ``test_porter``."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.engines.ports import free_port
from jobs.launchers.api import LogStream
from jobs.launchers.identity import moment
from jobs.launchers.pod_known import Known, Memory
from jobs.launchers.pod_views import PodView
from jobs.launchers.porters import Porters
from jobs.launchers.problems import Again, Blame, Problem
from jobs.launchers.windows import Windows
from storage.base.clock import ManualClock
from storage.base.ids import RunId

RUN = RunId("run_1")
AT = datetime(2026, 11, 29, tzinfo=UTC)
VIEW = PodView(
    run_id=RUN, name="dli-run-1", uid="u", owner="here", role="job", phase="Running", node="n",
    ip="127.0.0.1", deleted_at=None, ready=True, version=1, created_at=AT, started_at=AT,
)  # fmt: skip
GIVEN_UP = replace(
    VIEW,
    deleted_at=AT,
    problem=Problem(
        code="node_lost", message="its node is silent", blame=Blame.PLATFORM, again=Again.NOW
    ),
)


class Porter(http.server.ThreadingHTTPServer):
    """Answers as a pod's window does; remembers what it was asked, and with which token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, Any]] = []
        self.used: dict[str, float] = {"cpu": 1.5, "rss": 10}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Porter

    def do_GET(self) -> None:
        self._answer(None, json.dumps(self.server.used).encode())

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), b"")

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _answer(self, body: Any, answer: bytes) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(200)
        self.send_header("X-Offset", "4")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@dataclass(kw_only=True)
class Ground:
    """Porters that speak to ``porter``, if it is there."""

    porters: Porters
    porter: Porter
    clock: ManualClock
    memory: Memory = field(default_factory=Memory)


@pytest.fixture
def ground() -> Iterator[Ground]:
    clock, memory, windows = ManualClock(AT + timedelta(hours=1)), Memory(), Windows()
    with Porter() as porter:
        thread = threading.Thread(target=porter.serve_forever, args=(0.01,))
        thread.start()
        porters = Porters(
            windows=windows,
            token_of=lambda name: f"of {name}",
            memory=memory,
            clock=clock,
            port=porter.server_port,
        )
        yield Ground(porters=porters, porter=porter, clock=clock, memory=memory)
        porter.shutdown()
        thread.join()
    windows.close()


def test_measurement_is_good_for_a_moment(ground: Ground) -> None:
    assert ground.porters.measured(VIEW)["cpu"] == 1.5
    ground.porter.used["cpu"] = 2.5
    assert ground.porters.measured(VIEW)["cpu"] == 1.5
    ground.clock.advance(timedelta(seconds=1))
    assert ground.porters.measured(VIEW)["cpu"] == 2.5
    assert len(ground.porter.asked) == 2


def test_token_is_asked_for_once(ground: Ground) -> None:
    asked: list[str] = []

    def token_of(name: str) -> str:
        asked.append(name)
        return "secret"

    porters = replace(ground.porters, token_of=token_of)
    assert porters.stop(VIEW, reason="stopped", grace=2.0)
    assert porters.stop(VIEW, reason="stopped", grace=2.0)
    assert asked == ["dli-run-1"]
    assert "secret" in ground.porter.asked[0][1]
    assert ground.porter.asked[0][2] == {"reason": "stopped", "grace": 2.0}


def test_renewal_is_known_as_heard_when_it_was(ground: Ground) -> None:
    at = moment()
    ground.porters.renew(RUN, replace(VIEW, ready=False), at=at)
    known = ground.memory.of(RUN)
    assert (known.asked, known.heard < at, ground.porter.asked) == (at, True, [])
    ground.porters.renew(RUN, VIEW, at=at)
    assert known.heard == at
    assert [path for path, _, _ in ground.porter.asked] == ["/lease"]


@pytest.mark.parametrize("view", [GIVEN_UP, None])
def test_lease_of_what_the_cluster_gave_up_runs_out(ground: Ground, view: PodView | None) -> None:
    ground.porters.renew(RUN, view, at=moment())
    assert ground.porter.asked == []


def test_what_was_told_to_end_is_not_renewed(ground: Ground) -> None:
    ground.memory.keep(RUN, Known(reason="stopped"))
    ground.porters.renew(RUN, VIEW, at=moment())
    assert ground.porter.asked == []


def test_log_comes_from_the_porter(ground: Ground) -> None:
    part = ground.porters.log(VIEW, stream=LogStream.STDERR, offset=4)
    assert part is not None
    assert part.offset == 4
    assert ground.porter.asked[0][0] == "/log?stream=stderr&offset=4"


def test_silent_porter_is_left_alone_for_a_while(ground: Ground) -> None:
    silent = replace(ground.porters, port=free_port())
    ground.memory.of(RUN).measured = (float("-inf"), {"cpu": 7.0})
    assert silent.measured(VIEW) == {"cpu": 7.0}
    assert ground.porters.log(VIEW, stream=LogStream.STDOUT, offset=9) is None
    assert ground.porter.asked == []
    ground.clock.advance(timedelta(seconds=4))
    assert ground.porters.measured(VIEW)["cpu"] == 1.5


def test_engines_are_those_without_a_lease_of_their_own() -> None:
    memory = Memory()
    memory.keep(RUN, Known(engine=True))
    assert not memory.of(RunId("run_2")).engine
    assert memory.engines() == {RUN}
    memory.forget(RUN)
    assert memory.engines() == frozenset()
    assert memory.find(RUN) is None
