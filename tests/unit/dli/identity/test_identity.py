"""A secret opens exactly what was given, and nothing after it was taken back."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from dli.identity import projects
from dli.identity.identity import DEFAULT_PROJECT, REMEMBERED, Identity, ensure_administrator
from dli.identity.principals import Principal, Role, RoleMissingError, TokenInvalidError
from dli.identity.projects import ProjectMissingError
from dli.identity.tokens import NewToken, add_token, list_tokens, new_secret, revoke_token
from storage.base.clock import ManualClock
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database

ADMIN = "dli_" + "a" * 40
OTHER = ProjectId("other")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def identity(database: Database, clock: ManualClock) -> Identity:
    ensure_administrator(database, secret=ADMIN, at=clock.now())
    with database.transaction() as tx:
        projects.create_project(tx, OTHER, description=None, at=clock.now())
    return Identity(database, clock)


def give(
    database: Database,
    clock: ManualClock,
    *,
    granted: Role = Role.WRITER,
    most: Role = Role.ADMIN,
    bound: bool = False,
    life: timedelta | None = None,
) -> str:
    """A secret of the user ann, who has a role in the default project."""
    secret = new_secret()
    with database.transaction() as tx:
        user_id = projects.ensure_user(tx, "ann", at=clock.now())
        projects.give_role(tx, user_id, DEFAULT_PROJECT, granted)
        token = NewToken(
            name="test",
            user_id=user_id,
            project_id=DEFAULT_PROJECT if bound else None,
            role=most,
            expires_at=None if life is None else clock.now() + life,
        )
        add_token(tx, token, secret=secret, at=clock.now())
    return secret


def test_the_first_token_administers_every_project(identity: Identity) -> None:
    caller = identity.authenticate(ADMIN, "other")
    caller.require_administrator()
    caller.require(Role.ADMIN)
    assert (caller.project_id, caller.user) == (OTHER, "admin")
    assert identity.authenticate(ADMIN, None).project_id == DEFAULT_PROJECT


@pytest.mark.parametrize("secret", ["", "dli_", ADMIN[:-1], ADMIN + "a", "*"])
def test_a_wrong_secret_opens_nothing(identity: Identity, secret: str) -> None:
    with pytest.raises(TokenInvalidError):
        identity.authenticate(secret, None)


def test_no_role_looks_like_no_project(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    secret = give(database, clock)
    messages = []
    for name in ("other", "absent"):
        with pytest.raises(ProjectMissingError) as caught:
            identity.authenticate(secret, name)
        messages.append(caught.value.message.replace(name, "…"))
    assert messages[0] == messages[1]


def test_a_bound_token_of_the_administrator_stays_in_its_project(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    secret = new_secret()
    with database.transaction() as tx:
        user_id = projects.ensure_user(tx, "admin", at=clock.now())
        token = NewToken(
            name="t", user_id=user_id, project_id=OTHER, role=Role.ADMIN, expires_at=None
        )
        add_token(tx, token, secret=secret, at=clock.now())
    caller = identity.authenticate(secret, None)
    assert caller.project_id == OTHER
    with pytest.raises(RoleMissingError):
        caller.require_administrator()
    with pytest.raises(ProjectMissingError):
        identity.authenticate(secret, "default")


@pytest.mark.parametrize("granted", Role)
@pytest.mark.parametrize("most", Role)
def test_the_lesser_role_counts(
    identity: Identity, database: Database, clock: ManualClock, granted: Role, most: Role
) -> None:
    caller = identity.authenticate(give(database, clock, granted=granted, most=most), None)
    assert caller.role.rank == min(granted.rank, most.rank)
    assert caller.may_write == (caller.role is not Role.READER)


def test_an_expired_token_is_refused_though_remembered(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    secret = give(database, clock, life=timedelta(seconds=1))
    identity.authenticate(secret, None)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TokenInvalidError):
        identity.authenticate(secret, None)


def test_a_revoked_token_dies_within_seconds_elsewhere(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    secret = give(database, clock)
    here, there = identity, Identity(database, clock)
    caller = there.authenticate(secret, None)
    with database.transaction() as tx:
        revoke_token(
            tx, caller.token_id, project_id=DEFAULT_PROJECT, user_id=caller.user_id, at=clock.now()
        )
    here.forget()
    with pytest.raises(TokenInvalidError):
        here.authenticate(secret, None)
    assert there.authenticate(secret, None) == caller
    clock.advance(REMEMBERED + timedelta(milliseconds=1))
    with pytest.raises(TokenInvalidError):
        there.authenticate(secret, None)


def test_a_member_who_is_removed_is_out(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    secret = give(database, clock, bound=True)
    identity.authenticate(secret, None)
    with database.transaction() as tx:
        projects.remove_member(tx, DEFAULT_PROJECT, "ann")
    identity.forget()
    with pytest.raises(ProjectMissingError):
        identity.authenticate(secret, None)


def test_the_secret_is_in_no_row(
    identity: Identity, database: Database, clock: ManualClock
) -> None:
    with database.read() as tx:
        rows = tx.exec_driver_sql("SELECT * FROM tokens").all()
    assert rows
    assert ADMIN not in str(rows)
    assert ADMIN[4:] not in str(rows)


def test_two_replicas_start_at_once_and_agree(database: Database, clock: ManualClock) -> None:
    start = threading.Barrier(4)

    def replica() -> None:
        start.wait()
        ensure_administrator(database, secret=ADMIN, at=clock.now())

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    caller = Identity(database, clock).authenticate(ADMIN, None)
    with database.read() as tx:
        assert len(list_tokens(tx, DEFAULT_PROJECT, caller.user_id)) == 1


def test_roles_are_checked_by_rank() -> None:
    ann = Principal(
        user_id=UserId("usr_1"),
        user="ann",
        token_id="tok_1",
        project_id=DEFAULT_PROJECT,
        role=Role.WRITER,
        administrator=False,
        bound=True,
    )
    ann.require(Role.READER)
    ann.require(Role.WRITER)
    with pytest.raises(RoleMissingError, match="needs the role admin"):
        ann.require(Role.ADMIN)
    replace(ann, role=Role.ADMIN).require(Role.ADMIN)
