"""The credentials of projects in the metadata database: names, never values."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, String, Table, delete, select

from jobs.access.credentials import Credentials, NoCredentialsError, SecretKeys, checked
from storage.base.ids import ProjectId
from storage.meta.database import Tx
from storage.meta.inserts import insert_into
from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime

project_credentials = Table(
    "project_credentials",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("secret", String(253)),  # the name of a Secret
    Column("access_key", String(253)),  # the name of its key
    Column("secret_key", String(253)),
    Column("service_account", String(253)),
    Column("changed_at", UtcDateTime, nullable=False),
)


def find(tx: Tx, project_id: ProjectId) -> Credentials | None:
    """Those of the project, if it has any of its own."""
    row = tx.execute(
        select(project_credentials).where(project_credentials.c.project_id == project_id)
    ).first()
    if row is None:
        return None
    secret = None
    if row.secret is not None:
        secret = SecretKeys(name=row.secret, access_key=row.access_key, secret_key=row.secret_key)
    return Credentials(secret=secret, service_account=row.service_account)


def put(tx: Tx, project_id: ProjectId, credentials: Credentials, *, at: datetime) -> None:
    """In place of those before. Raises ``CredentialsInvalidError``."""
    secret = checked(credentials).secret
    values = {
        "secret": None if secret is None else secret.name,
        "access_key": None if secret is None else secret.access_key,
        "secret_key": None if secret is None else secret.secret_key,
        "service_account": credentials.service_account,
        "changed_at": at,
    }
    tx.execute(
        insert_into(tx, project_credentials)
        .values(project_id=project_id, **values)
        .on_conflict_do_update(index_elements=[project_credentials.c.project_id], set_=values)
    )


def remove(tx: Tx, project_id: ProjectId) -> None:
    """The project has none of its own any more. Raises ``NoCredentialsError``."""
    here = project_credentials.c.project_id == project_id
    if not tx.execute(delete(project_credentials).where(here)).rowcount:
        raise NoCredentialsError(f"the project {project_id!r} has no credentials of its own")
