"""Notifications leave for the internet only, and one that is sent elsewhere does not follow."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs.notices.targets import (
    TargetForbiddenError,
    TargetRefusedError,
    Targets,
    TargetUnreachableError,
    is_public,
)
from tests.support.automation import Target, target


@pytest.fixture
def listener() -> Iterator[Target]:
    with target() as made:
        yield made


@pytest.fixture
def targets() -> Iterator[Targets]:
    made = Targets(allow_private=True, timeout=timedelta(seconds=1))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
    ],
)
def test_addresses_of_networks_of_ones_own_are_private(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_a_private_target_is_refused_however_it_is_written(host: str, listener: Target) -> None:
    port = listener.url.rpartition(":")[2]
    targets = Targets()
    with pytest.raises((TargetForbiddenError, TargetUnreachableError)):
        targets.post(f"http://{host}:{port}/", body=b"{}", headers={})
    assert listener.received == []
    targets.close()


def test_a_name_whose_second_answer_is_private_is_refused(
    monkeypatch: pytest.MonkeyPatch, listener: Target
) -> None:
    inner = ("127.0.0.1", int(listener.url.rpartition(":")[2]))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in (("8.8.8.8", 80), inner)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    targets = Targets()
    with pytest.raises(TargetForbiddenError):
        targets.post("http://rebinding.example/", body=b"{}", headers={})
    targets.close()


def test_a_post_arrives_as_it_is(targets: Targets, listener: Target) -> None:
    status = targets.post(listener.url + "/a?b=c", body=b'{"x": 1}', headers={"Dli-Event": "test"})
    got = listener.received[0]
    assert (status, got.path, got.body) == (200, "/a?b=c", b'{"x": 1}')
    assert got.headers["Dli-Event"] == "test"


@pytest.mark.parametrize("status", [302, 400, 500])
def test_redirects_and_errors_are_refusals(targets: Targets, listener: Target, status: int) -> None:
    listener.statuses = [status]
    with pytest.raises(TargetRefusedError) as caught:
        targets.post(listener.url, body=b"{}", headers={})
    assert caught.value.details["status"] == status
    assert len(listener.received) == 1


def test_a_target_that_is_silent_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        targets = Targets(allow_private=True, timeout=timedelta(milliseconds=200))
        with pytest.raises(TargetUnreachableError):
            targets.post(f"http://127.0.0.1:{silent.getsockname()[1]}/", body=b"", headers={})
        targets.close()


def test_a_target_that_is_away_is_told(targets: Targets) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with pytest.raises(TargetUnreachableError):
        targets.post(url, body=b"{}", headers={})
    with pytest.raises(TargetUnreachableError):
        targets.post("http://nowhere.invalid/", body=b"{}", headers={})
