"""A store that hangs holds up the looks at itself, and no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobs.triggers.spec import ObjectAppears, Trigger
from storage.base.clock import ManualClock
from storage.base.ids import new_id
from storage.meta.database import Database
from storage.objects.buckets import S3Settings
from tests.support.automation import AUTHOR, STATEMENT, Office, make_office
from tests.support.jobs import NOW, PROJECT

_DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
LONG = timedelta(seconds=10)


class Hanging(ThreadingHTTPServer):
    """An S3 service that takes requests and answers none until it is let go; then it refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked = threading.Semaphore(0)
        self.let_go = threading.Event()

    @property
    def settings(self) -> S3Settings:
        return S3Settings(
            endpoint=f"127.0.0.1:{self.server_port}", access_key="a", secret_key="b", secure=False
        )


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Hanging)
        self.server.asked.release()
        self.server.let_go.wait(60)
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(_DENIED)))
        self.end_headers()
        self.wfile.write(_DENIED)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Hanging]:
    with Hanging() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.let_go.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def office(
    database: Database,
    clock: ManualClock,
    tmp_path: Path,
    store: Hanging,
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    monkeypatch.setattr("storage.objects.s3.READ_SECONDS", 120.0)  # the test says when it ends
    return make_office(database, clock, tmp_path, s3=store.settings)


def watched(office: Office, name: str, prefix: str, every: timedelta) -> Trigger:
    return office.automation.triggers.create(
        Trigger(
            id=new_id("trg", NOW),
            project_id=PROJECT,
            name=name,
            on=ObjectAppears(prefix=prefix, every=every, existing=True),
            document=STATEMENT,
            user_id=AUTHOR,
            created_at=NOW,
        )
    )


def test_a_store_that_hangs_holds_up_nobody_else(
    office: Office, clock: ManualClock, store: Hanging, tmp_path: Path
) -> None:
    watcher = office.automation.triggers.watcher
    watched(office, "far", "s3://bucket/x/", timedelta(seconds=5))
    look = threading.Thread(target=watcher.tick)
    look.start()
    store.asked.acquire()
    (tmp_path / "a.csv").write_text("1")
    near = watched(office, "near", str(tmp_path / "a.csv"), timedelta(days=1))
    clock.advance(LONG)
    assert watcher.tick() == 1
    assert len(office.firings(near.id)) == 1
    assert watcher.tick() == 0, "what somebody looks at is not looked at by another thread"

    store.let_go.set()
    look.join()
    told = office.automation.triggers.get(PROJECT, "far").error
    assert told is not None
    assert told.code == "store_unavailable"
    clock.advance(9 * LONG)
    assert watcher.tick() == 0, "what failed after a long wait is left alone for a while"
    clock.advance(LONG)
    assert watcher.tick() == 1


def test_a_failure_that_took_no_time_puts_nothing_off(
    office: Office, clock: ManualClock, store: Hanging
) -> None:
    watcher = office.automation.triggers.watcher
    store.let_go.set()
    watched(office, "far", "s3://bucket/x/", timedelta(seconds=5))
    assert watcher.tick() == 1
    clock.advance(timedelta(seconds=5))
    assert watcher.tick() == 1


def test_several_threads_look_for_objects(office: Office) -> None:
    names = [loop.name for loop in office.automation.loops()]
    assert sum(name.startswith("objects-") for name in names) > 1
    assert len(set(names)) == len(names)
