"""``/databases``: namespaces of tables."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import moment
from dli.api.idempotency import Once, do_once
from dli.api.schemas.catalog import DatabaseBody, DatabaseReply, DatabasesPage
from dli.api.wire import json_response, page_json
from dli.identity.principals import Role
from storage.catalog.commands import CreateDatabase, DropDatabase
from storage.catalog.definitions import DatabaseDef

router = APIRouter(prefix="/databases", tags=["catalog"])


@router.get("", response_model=DatabasesPage)
def list_databases(services: AllServices, caller: Caller) -> Response:
    """All databases of the project, by name."""
    with services.database.read() as tx:
        found = services.catalog.databases(tx, caller.project_id)
    return json_response(page_json([database_json(one) for one in found]))


@router.post("", response_model=DatabaseReply, status_code=201)
def create_database(
    services: AllServices, caller: Caller, body: DatabaseBody, key: IdempotencyKey
) -> Response:
    """Create an empty database. Needs the role writer."""
    caller.require(Role.WRITER)
    command = CreateDatabase(**body.model_dump())

    def create() -> tuple[int, dict[str, Any]]:
        with services.database.transaction() as tx:
            made = services.catalog.apply(tx, caller.project_id, command)
        assert isinstance(made, DatabaseDef)
        return 201, database_json(made)

    once = Once(project_id=caller.project_id, key=key, path="database", body=body.model_dump())
    return do_once(services, once, create)


@router.get("/{database}", response_model=DatabaseReply)
def get_database(services: AllServices, caller: Caller, database: str) -> Response:
    """One database."""
    with services.database.read() as tx:
        found = services.catalog.require_database(tx, caller.project_id, database)
    return json_response(database_json(found))


@router.delete("/{database}", status_code=204)
def drop_database(
    services: AllServices, caller: Caller, database: str, cascade: bool = False
) -> Response:
    """Drop a database; refused while it has tables, unless `cascade`. Needs the role writer.

    The database `default` is never dropped.
    """
    caller.require(Role.WRITER)
    command = DropDatabase(name=database, cascade=cascade)
    with services.database.transaction() as tx:
        services.catalog.apply(tx, caller.project_id, command)
    return Response(status_code=204)


def database_json(database: DatabaseDef) -> dict[str, Any]:
    """A database on the wire."""
    return {
        "name": database.name,
        "comment": database.comment,
        "created_at": moment(database.created_at),
    }
