from __future__ import annotations

import pytest

from dli.cli.session import Session, consoles


def make_session() -> Session:
    out, err = consoles()
    return Session(url="http://127.0.0.1:9", token="t", out=out, err=err)


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
    out, err = consoles()
    assert "secret" not in repr(Session(token="secret", out=out, err=err))
