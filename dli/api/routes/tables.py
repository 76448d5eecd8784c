"""``/databases/{database}/tables``: register, look at, refresh and drop tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.idempotency import Once, do_once
from dli.api.schemas.catalog import TableBody, TableDetailReply, TableReply, TablesPage
from dli.api.tables import command_of, detail_json, table_json
from dli.api.wire import json_response, page_json
from dli.identity.principals import Role
from storage.catalog.commands import DropTable
from storage.catalog.definitions import TableDef, TableKind

router = APIRouter(prefix="/databases/{database}/tables", tags=["catalog"])


@router.get("", response_model=TablesPage)
def list_tables(services: AllServices, caller: Caller, database: str) -> Response:
    """Tables and views of the database, by name."""
    with services.database.read() as tx:
        found = services.catalog.tables(tx, caller.project_id, database)
    return json_response(page_json([table_json(one) for one in found]))


@router.post("", response_model=TableReply, status_code=201)
def create_table(
    services: AllServices, caller: Caller, database: str, body: TableBody, key: IdempotencyKey
) -> Response:
    """Register files as a table, or create an empty managed one. Needs the role writer."""
    caller.require(Role.WRITER)
    command = command_of(database, body)

    def create() -> tuple[int, dict[str, Any]]:
        return 201, table_json(services.tables.create(caller.project_id, command))

    asked = [database, body.model_dump(mode="json")]
    once = Once(project_id=caller.project_id, key=key, path="table", body=asked)
    return do_once(services, once, create)


@router.get("/{table}", response_model=TableDetailReply)
def get_table(services: AllServices, caller: Caller, database: str, table: str) -> Response:
    """Schema, files, snapshots and statistics, as they were seen last."""
    found = _find(services, caller, database, table)
    return json_response(detail_json(services, found))


@router.post("/{table}/refresh", response_model=TableDetailReply)
def refresh_table(
    services: AllServices, caller: Caller, database: str, table: str, key: IdempotencyKey
) -> Response:
    """List the files of an external table again, now. Needs the role writer."""
    caller.require(Role.WRITER)

    def refresh() -> tuple[int, dict[str, Any]]:
        found = _find(services, caller, database, table)
        if found.kind is TableKind.EXTERNAL:
            found = services.tables.refresh(found, max_age=timedelta(0))
        return 200, detail_json(services, found)

    path = f"refresh {database}.{table}"
    once = Once(project_id=caller.project_id, key=key, path=path, body=None)
    return do_once(services, once, refresh)


@router.delete("/{table}", status_code=204)
def drop_table(services: AllServices, caller: Caller, database: str, table: str) -> Response:
    """Drop a table or view; files of an external table stay. Needs the role writer."""
    caller.require(Role.WRITER)
    with services.database.transaction() as tx:
        found = services.catalog.require_table(tx, caller.project_id, database, table)
        view = found.kind is TableKind.VIEW
        command = DropTable(database=database, name=table, view=view)
        services.catalog.apply(tx, caller.project_id, command)
    return Response(status_code=204)


def _find(services: AllServices, caller: Caller, database: str, table: str) -> TableDef:
    with services.database.read() as tx:
        return services.catalog.require_table(tx, caller.project_id, database, table)
