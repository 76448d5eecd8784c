"""``/tokens``: make, list and revoke."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import moment
from dli.api.idempotency import Once, do_once
from dli.api.schemas.platform import NewTokenReply, TokenBody, TokensPage
from dli.api.wire import json_response, page_json
from dli.identity import projects
from dli.identity.principals import Principal, Role
from dli.identity.tokens import (
    NewToken,
    Token,
    add_token,
    list_tokens,
    new_secret,
    revoke_token,
)
from dli.services import Services
from storage.base.ids import UserId

router = APIRouter(prefix="/tokens", tags=["tokens"])


@router.get("", response_model=TokensPage)
def list_all(services: AllServices, caller: Caller) -> Response:
    """Tokens of the project, newest first: for admins all, for others their own."""
    with services.database.read() as tx:
        found = {token.id: token for token in list_tokens(tx, caller.project_id, caller.user_id)}
        if caller.role is Role.ADMIN:
            found |= {token.id: token for token in list_tokens(tx, caller.project_id, None)}
    newest = sorted(found.values(), key=lambda token: token.id, reverse=True)
    return json_response(page_json([token_json(token) for token in newest]))


@router.post("", response_model=NewTokenReply, status_code=201)
def create_token(
    services: AllServices, caller: Caller, body: TokenBody, key: IdempotencyKey
) -> Response:
    """Make a token for this project. Its secret is in this answer and nowhere else, ever.

    A repeat with the same Idempotency-Key gives the same token without its secret.
    """
    caller.require(body.role)
    if body.user not in (None, caller.user):
        caller.require(Role.ADMIN)
    once = Once(
        project_id=caller.project_id, key=key, path="token", body=body.model_dump(mode="json")
    )
    return do_once(services, once, lambda: (201, _create(services, caller, body)), secret="token")  # noqa: S106  a field's name


@router.delete("/{token_id}", status_code=204)
def revoke(services: AllServices, caller: Caller, token_id: str) -> Response:
    """Make a token worthless. Admins may revoke all of the project, others their own."""
    with services.database.transaction() as tx:
        own = {token.id for token in list_tokens(tx, caller.project_id, caller.user_id)}
        everybody = caller.role is Role.ADMIN and token_id not in own
        revoke_token(
            tx,
            token_id,
            project_id=caller.project_id,
            user_id=None if everybody else caller.user_id,
            at=services.clock.now(),
        )
    services.identity.forget()
    return Response(status_code=204)


def _create(services: Services, caller: Principal, body: TokenBody) -> dict[str, Any]:
    now, secret = services.clock.now(), new_secret()
    with services.database.transaction() as tx:
        new = NewToken(
            name=body.name,
            user_id=_owner(services, caller, body, tx),
            project_id=caller.project_id,
            role=body.role,
            expires_at=None if body.expires_in is None else now + body.expires_in,
        )
        made = add_token(tx, new, secret=secret, at=now)
    return {**token_json(made), "token": secret}


def _owner(services: Services, caller: Principal, body: TokenBody, tx: Any) -> UserId:
    if body.user in (None, caller.user):
        return caller.user_id
    user_id = projects.ensure_user(tx, body.user, at=services.clock.now())
    if projects.role_of(tx, user_id, caller.project_id) is None:
        projects.give_role(tx, user_id, caller.project_id, body.role)
    return user_id


def token_json(token: Token) -> dict[str, Any]:
    """A token on the wire, without its secret."""
    return {
        "id": token.id,
        "name": token.name,
        "user": token.user,
        "project": token.project_id,
        "role": token.role,
        "created_at": moment(token.created_at),
        "expires_at": moment(token.expires_at),
        "revoked_at": moment(token.revoked_at),
    }
