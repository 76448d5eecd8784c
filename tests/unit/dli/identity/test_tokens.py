"""Tokens are listed without secrets and to those only whom they concern."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from dli.identity import projects
from dli.identity.identity import DEFAULT_PROJECT, ensure_administrator
from dli.identity.principals import Role
from dli.identity.tokens import (
    NewToken,
    Token,
    TokenMissingError,
    add_token,
    list_tokens,
    new_secret,
    revoke_token,
)
from storage.base.clock import ManualClock
from storage.base.ids import ProjectId
from storage.meta.database import Database, Tx

AT = ManualClock().now()


@pytest.fixture(autouse=True)
def _administrator(database: Database) -> None:
    ensure_administrator(database, secret=new_secret(), at=AT)
    with database.transaction() as tx:
        projects.create_project(tx, "other", description=None, at=AT)


def make(tx: Tx, user: str, project: str | None) -> Token:
    new = NewToken(
        name="test",
        user_id=projects.ensure_user(tx, user, at=AT),
        project_id=None if project is None else ProjectId(project),
        role=Role.READER,
        expires_at=None,
    )
    return add_token(tx, new, secret=new_secret(), at=AT)


def test_secrets_are_240_random_bits() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"dli_[A-Za-z0-9_-]{40}", secret) for secret in secrets)


def test_a_projects_list_has_no_tokens_of_another(database: Database) -> None:
    with database.transaction() as tx:
        mine, foreign = make(tx, "ann", "default"), make(tx, "ann", "other")
        listed = list_tokens(tx, DEFAULT_PROJECT, None)
    assert mine in listed
    assert foreign not in listed


def test_users_see_their_own_unbound_tokens(database: Database) -> None:
    with database.transaction() as tx:
        bound, free = make(tx, "ann", "default"), make(tx, "ann", None)
        make(tx, "bob", "default")
        listed = list_tokens(tx, DEFAULT_PROJECT, projects.ensure_user(tx, "ann", at=AT))
    assert listed == (free, bound)


def test_revoking_twice_keeps_the_first_moment(database: Database) -> None:
    with database.transaction() as tx:
        token = make(tx, "ann", "default")
        for at in (AT, AT + timedelta(hours=1)):
            gone = revoke_token(tx, token.id, project_id=DEFAULT_PROJECT, user_id=None, at=at)
    assert gone.revoked_at == AT


def test_a_token_of_another_project_cannot_be_revoked(database: Database) -> None:
    with database.transaction() as tx:
        token = make(tx, "ann", "other")
        with pytest.raises(TokenMissingError):
            revoke_token(tx, token.id, project_id=DEFAULT_PROJECT, user_id=None, at=AT)
