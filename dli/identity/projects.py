"""Projects, the users who may work in them, and their roles."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from dli.identity.principals import Role
from dli.identity.rows import grants, projects, users
from storage.base.errors import ConflictError, InvalidInputError, NotFoundError
from storage.base.ids import ProjectId, UserId, new_id
from storage.meta.database import Tx
from storage.meta.inserts import insert_into

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class ProjectMissingError(NotFoundError):
    """No such project, or the caller has no part in it."""

    code = "project_not_found"


class ProjectExistsError(ConflictError):
    """The name of the project is taken."""

    code = "project_exists"


class InvalidProjectNameError(InvalidInputError):
    """A name that a project cannot have."""

    code = "invalid_project_name"


class MemberMissingError(NotFoundError):
    """The user has no role in the project."""

    code = "member_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant. Its id is the name that was chosen, for ever."""

    id: ProjectId
    description: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user with a role in a project."""

    user: str
    role: Role


def create_project(tx: Tx, name: str, *, description: str | None, at: datetime) -> Project:
    """Raises ``InvalidProjectNameError`` and ``ProjectExistsError``."""
    if _NAME.fullmatch(name) is None:
        raise InvalidProjectNameError(
            f"{name!r} cannot be the name of a project",
            hint="use 1 to 63 of a-z, 0-9, _ and -, with a letter first",
        )
    if find_project(tx, ProjectId(name)) is not None:
        raise ProjectExistsError(f"there is a project {name!r} already", project=name)
    project = Project(id=ProjectId(name), description=description, created_at=at)
    try:
        tx.execute(insert(projects).values(id=name, description=description, created_at=at))
    except IntegrityError as error:  # another replica was first
        raise ProjectExistsError(f"there is a project {name!r} already", project=name) from error
    return project


def find_project(tx: Tx, project_id: ProjectId) -> Project | None:
    """The project of that name."""
    row = tx.execute(select(projects).where(projects.c.id == project_id)).mappings().first()
    return None if row is None else Project(**row)


def list_projects(tx: Tx, user_id: UserId | None) -> tuple[Project, ...]:
    """All projects by name, or those in which ``user_id`` has a role."""
    query = select(projects).order_by(projects.c.id)
    if user_id is not None:
        query = query.join(grants, grants.c.project_id == projects.c.id).where(
            grants.c.user_id == user_id
        )
    return tuple(Project(**row) for row in tx.execute(query).mappings())


def ensure_user(tx: Tx, name: str, *, administrator: bool = False, at: datetime) -> UserId:
    """The id of the user of that name, who is made if new."""
    called = select(users.c.id).where(users.c.name == name)
    found = tx.execute(called).scalar()
    if found is None:
        values = {"id": new_id("usr", at), "name": name, "administrator": administrator}
        tx.execute(insert_into(tx, users).values(created_at=at, **values).on_conflict_do_nothing())
        found = tx.execute(called).scalar_one()  # ours, or that of a replica that was first
    return UserId(found)


def role_of(tx: Tx, user_id: UserId, project_id: ProjectId) -> Role | None:
    """The role that a user was given in a project."""
    role = tx.execute(
        select(grants.c.role).where(grants.c.user_id == user_id, grants.c.project_id == project_id)
    ).scalar()
    return None if role is None else Role(role)


def give_role(tx: Tx, user_id: UserId, project_id: ProjectId, role: Role) -> None:
    """Give a user a role in a project, in place of the one before."""
    tx.execute(
        insert_into(tx, grants)
        .values(user_id=user_id, project_id=project_id, role=role.value)
        .on_conflict_do_update(
            index_elements=[grants.c.user_id, grants.c.project_id], set_={"role": role.value}
        )
    )


def list_members(tx: Tx, project_id: ProjectId) -> tuple[Member, ...]:
    """Who has a role in the project, by name."""
    rows = tx.execute(
        select(users.c.name, grants.c.role)
        .join(grants, grants.c.user_id == users.c.id)
        .where(grants.c.project_id == project_id)
        .order_by(users.c.name)
    )
    return tuple(Member(user=row.name, role=Role(row.role)) for row in rows)


def find_users(tx: Tx, project_id: ProjectId, wanted: Collection[str]) -> Mapping[str, UserId]:
    """The ids of users by what they were asked for: a name or an id.

    Raises ``MemberMissingError`` for who has no role in the project and administers nothing.
    """
    rows = tx.execute(
        select(users.c.id, users.c.name)
        .outerjoin(grants, (grants.c.user_id == users.c.id) & (grants.c.project_id == project_id))
        .where(
            or_(users.c.name.in_(wanted), users.c.id.in_(wanted)),
            or_(grants.c.role.is_not(None), users.c.administrator),
        )
    ).all()
    known = {row.id: UserId(row.id) for row in rows} | {row.name: UserId(row.id) for row in rows}
    for user in wanted:
        if user not in known:
            raise MemberMissingError(f"{user!r} has no role in {project_id!r}", user=user)
    return {user: known[user] for user in wanted}


def names_of(tx: Tx, user_ids: Collection[UserId]) -> Mapping[UserId, str]:
    """The names of users; who is unknown is named by the id."""
    names = {UserId(user_id): str(user_id) for user_id in user_ids}
    rows = tx.execute(select(users.c.id, users.c.name).where(users.c.id.in_(user_ids)))
    return names | {UserId(row.id): row.name for row in rows}


def remove_member(tx: Tx, project_id: ProjectId, user: str) -> None:
    """Take a user's role away, and with it the force of their tokens. ``MemberMissingError``."""
    user_id = select(users.c.id).where(users.c.name == user).scalar_subquery()
    gone = tx.execute(
        delete(grants)
        .where(grants.c.project_id == project_id, grants.c.user_id == user_id)
        .returning(grants.c.user_id)
    ).first()
    if gone is None:
        raise MemberMissingError(f"{user!r} has no role in {project_id!r}", user=user)
