from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from storage.meta.connections import Connections, ConnectionsBusyError


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    """At most two connections, and no patience."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=NullPool)
    made = Connections(engine.connect, limit=2, patience=0.01)
    yield made
    made.close()


def test_the_last_one_given_back_is_lent_first(connections: Connections) -> None:
    first, second = connections.take(), connections.take()
    connections.give(first)
    connections.give(second)
    assert connections.take() is second
    assert connections.take() is first
    connections.give(first)
    connections.give(second)


def test_no_more_than_the_limit_are_lent(connections: Connections) -> None:
    lent = [connections.take(), connections.take()]
    with pytest.raises(ConnectionsBusyError):
        connections.take()
    connections.give(lent.pop())
    lent.append(connections.take())
    for one in lent:
        connections.give(one)


def test_one_that_broke_takes_the_idle_ones_with_it(connections: Connections) -> None:
    broken, idle = connections.take(), connections.take()
    connections.give(idle)
    connections.drop(broken)
    assert broken.closed
    assert idle.closed
    fresh = [connections.take(), connections.take()]
    assert not any(one.closed for one in fresh)
    for one in fresh:
        connections.give(one)


def test_after_closing_what_comes_back_is_closed(connections: Connections) -> None:
    lent = connections.take()
    connections.close()
    assert not lent.closed
    connections.give(lent)
    assert lent.closed


def test_a_failed_connect_gives_its_place_back() -> None:
    def refuse() -> sqlalchemy.Connection:
        raise ConnectionRefusedError

    made = Connections(refuse, limit=1, patience=0.01)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            made.take()
