"""Tokens: random, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, insert, or_, select, update

from dli.identity.principals import Role
from dli.identity.rows import tokens, users
from storage.base.errors import NotFoundError
from storage.base.ids import ProjectId, UserId, new_id
from storage.meta.database import Tx

PREFIX = "dli_"


class TokenMissingError(NotFoundError):
    """No such token, or not one of the caller's project."""

    code = "token_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it may be shown: without its secret."""

    id: str
    name: str
    user: str
    project_id: ProjectId | None  #: None: every project of the user
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What a token is to be."""

    name: str
    user_id: UserId
    project_id: ProjectId | None
    role: Role
    expires_at: datetime | None


def new_secret() -> str:
    """``dli_`` and 40 characters that are safe in a URL: 240 random bits."""
    return PREFIX + secrets.token_urlsafe(30)


def hash_secret(secret: str) -> str:
    """What is kept of a secret. It has 240 random bits, so one round without salt is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_token(tx: Tx, new: NewToken, *, secret: str, at: datetime) -> Token:
    """Keep a token; its secret cannot be had again."""
    token_id = new_id("tok", at)
    tx.execute(
        insert(tokens).values(
            id=token_id,
            user_id=new.user_id,
            project_id=new.project_id,
            role=new.role.value,
            name=new.name,
            hash=hash_secret(secret),
            created_at=at,
            expires_at=new.expires_at,
        )
    )
    return _shown(tx.execute(_SHOWN.where(tokens.c.id == token_id)).mappings().one())


def list_tokens(tx: Tx, project_id: ProjectId, user_id: UserId | None) -> tuple[Token, ...]:
    """Tokens that open a project, newest first; with ``user_id`` only that user's, and of these
    also the ones that are not bound to a project."""
    rows = _SHOWN.where(tokens.c.project_id == project_id)
    if user_id is not None:
        rows = _SHOWN.where(
            tokens.c.user_id == user_id,
            or_(tokens.c.project_id == project_id, tokens.c.project_id.is_(None)),
        )
    found = tx.execute(rows.order_by(tokens.c.id.desc())).mappings()
    return tuple(_shown(row) for row in found)


def revoke_token(
    tx: Tx, token_id: str, *, project_id: ProjectId, user_id: UserId | None, at: datetime
) -> Token:
    """Make a token worthless; twice is the same as once. Raises ``TokenMissingError``.

    With ``user_id`` only that user's tokens are found, without it all of the project.
    """
    visible = {token.id: token for token in list_tokens(tx, project_id, user_id)}
    if token_id not in visible:
        raise TokenMissingError(f"there is no token {token_id!r}", token=token_id)
    tx.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    return _shown(tx.execute(_SHOWN.where(tokens.c.id == token_id)).mappings().one())


_SHOWN = select(
    tokens.c.id,
    tokens.c.name,
    users.c.name.label("user"),
    tokens.c.project_id,
    tokens.c.role,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
).join(users, users.c.id == tokens.c.user_id)


def _shown(row: RowMapping) -> Token:
    return Token(**{**row, "role": Role(row["role"])})
