from __future__ import annotations

import pytest

from dli.cli.session import Session


def make_session() -> Session:
    return Session(url="http://127.0.0.1:9", token="secret")


def test_session_has_one_client() -> None:
    with make_session() as session:
        assert session.client is session.client
        assert session.client.url == "http://127.0.0.1:9"


def test_clients_are_closed_with_their_session() -> None:
    with make_session() as session:
        clients = [session.client, session.new_client(patient=False)]
    for client in clients:
        with pytest.raises(RuntimeError, match="closed"):
            client.health()


def test_token_is_not_shown() -> None:
    assert "secret" not in repr(make_session())
