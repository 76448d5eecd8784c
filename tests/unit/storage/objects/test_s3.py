"""How the S3 store fails: soon, and saying what to mend."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from storage.objects.api import ObjectMissingError, StoreFullError, StoreUnavailableError
from storage.objects.buckets import S3Settings
from storage.objects.s3 import S3Store
from tests.support.servers import S3Server, free_ports

SETTINGS = S3Settings(endpoint="127.0.0.1:1", access_key="us", secret_key="hush", secure=False)


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[tuple[S3Store, list[str]]]:
    """A store before a server that gives these answers in turn, the last one for ever."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = _answer  # noqa: N815  the base class looks for these names

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        endpoint = f"127.0.0.1:{server.server_port}"
        yield S3Store("bucket", "", replace(SETTINGS, endpoint=endpoint)), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error_body(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>m</Message></Error>"


def every_call(store: S3Store, file: Path) -> dict[str, Callable[[], object]]:
    return {
        "put": lambda: store.put("a", b"1"),
        "put_file": lambda: store.put_file("a", file),
        "get": lambda: store.get("a"),
        "stat": lambda: store.stat("a"),
        "list": lambda: list(store.list("")),
        "delete": lambda: store.delete("a"),
    }


CALLS = ("put", "put_file", "get", "stat", "list", "delete")


@pytest.mark.parametrize("call", CALLS)
def test_wrong_credentials_are_told(call: str, s3_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    store = S3Store(s3_server.bucket(), "", replace(s3_server.settings, secret_key="hush-hush"))
    with pytest.raises(StoreUnavailableError, match="refuses our credentials") as told:
        every_call(store, tmp_path / "file")[call]()
    assert "hush" not in f"{told.value.message} {told.value.hint} {told.value.details}"


@pytest.mark.parametrize("call", ["put", "put_file", "get", "stat", "list"])
def test_missing_bucket_is_told(call: str, s3_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    store = S3Store("never-made", "", s3_server.settings)
    with pytest.raises(StoreUnavailableError, match="there is no bucket never-made"):
        every_call(store, tmp_path / "file")[call]()


@pytest.mark.parametrize("call", CALLS)
def test_closed_port_fails_soon(call: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (port,) = free_ports(1)
    store = S3Store("bucket", "", replace(SETTINGS, endpoint=f"127.0.0.1:{port}"))
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        every_call(store, tmp_path / "file")[call]()
    assert time.monotonic() - begun < 10, "as long as one answer is waited for"


def test_silent_server_fails_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = S3Store(
            "bucket", "", replace(SETTINGS, endpoint=f"127.0.0.1:{deaf.getsockname()[1]}")
        )
        begun = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            store.get("a")
    assert time.monotonic() - begun < 20, "it is not asked again"


def test_passing_failure_is_tried_again() -> None:
    with answering((503, error_body("SlowDown")), (500, ""), (200, "data")) as (store, asked):
        assert store.get("a") == b"data"
    assert asked == ["GET"] * 3


def test_lasting_failure_is_tried_three_times() -> None:
    with (
        answering((503, error_body("SlowDown"))) as (store, asked),
        pytest.raises(StoreUnavailableError, match="SlowDown"),
    ):
        store.put("a", b"1")
    assert asked == ["PUT"] * 3


def test_refusals_are_not_repeated() -> None:
    with (
        answering((403, error_body("AccessDenied"))) as (store, asked),
        pytest.raises(StoreUnavailableError, match="AccessDenied"),
    ):
        store.get("a")
    assert asked == ["GET"]


def test_full_bucket_is_told() -> None:
    with answering((403, error_body("QuotaExceeded"))) as (store, _), pytest.raises(StoreFullError):
        store.put("a", b"1")


def test_something_else_on_the_port_is_told() -> None:
    with (
        answering((404, "<html>no")) as (store, _),
        pytest.raises(StoreUnavailableError, match="does not speak S3"),
    ):
        store.get("a")


def test_settings_show_no_secret() -> None:
    assert "hush" not in repr(SETTINGS)
    assert "hush" not in str(SETTINGS)


def test_prefixes_are_apart(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    ours, theirs = (S3Store(bucket, prefix, s3_server.settings) for prefix in ("a/", "ab/"))
    ours.put("x", b"1")
    assert list(theirs.list("")) == []
    with pytest.raises(ObjectMissingError):
        theirs.get("x")
    assert ours.uri("x") == f"s3://{bucket}/a/x"


def test_prefix_without_slash_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="slash"):
        S3Store("bucket", "a", SETTINGS)
