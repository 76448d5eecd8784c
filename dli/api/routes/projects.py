"""``/projects``: tenants and who works in them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import moment
from dli.api.idempotency import Once, do_once
from dli.api.schemas.platform import (
    CredentialsBody,
    CredentialsReply,
    MemberBody,
    MemberReply,
    MembersPage,
    ProjectBody,
    ProjectReply,
    ProjectsPage,
)
from dli.api.wire import json_response, page_json
from dli.identity import projects
from dli.identity.principals import Principal, Role
from dli.identity.projects import Project, ProjectMissingError
from dli.projects import open_project
from dli.services import Services
from jobs.access import store as credentials
from jobs.access.credentials import Credentials, NoCredentialsError, SecretKeys

router = APIRouter(prefix="/projects", tags=["projects"])
UserName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._@-]{0,127}$")]


@router.get("", response_model=ProjectsPage)
def list_projects(services: AllServices, caller: Caller) -> Response:
    """The projects that the caller has a role in; for administrators all."""
    with services.database.read() as tx:
        if caller.bound:
            own = projects.find_project(tx, caller.project_id)
            found: tuple[Project, ...] = (own,) if own else ()
        else:
            found = projects.list_projects(tx, None if caller.administrator else caller.user_id)
        roles = {one.id: projects.role_of(tx, caller.user_id, one.id) for one in found}
    items = [project_json(one, _role(caller, roles[one.id])) for one in found]
    return json_response(page_json(items))


@router.post("", response_model=ProjectReply, status_code=201)
def create_project(
    services: AllServices, caller: Caller, body: ProjectBody, key: IdempotencyKey
) -> Response:
    """Create a project with a queue and a database `default`. Needs an administrator."""
    caller.require_administrator()

    def create() -> tuple[int, dict[str, Any]]:
        made = open_project(services, body.name, body.description, admin=caller.user_id)
        return 201, project_json(made, Role.ADMIN)

    once = Once(project_id=caller.project_id, key=key, path="project", body=body.model_dump())
    return do_once(services, once, create)


@router.get("/{project}/members", response_model=MembersPage)
def list_members(services: AllServices, caller: Caller, project: str) -> Response:
    """Who has a role in the project. Needs the role admin there."""
    _require_admin(caller, project)
    with services.database.read() as tx:
        members = projects.list_members(tx, caller.project_id)
    return json_response(page_json([{"user": one.user, "role": one.role} for one in members]))


@router.put("/{project}/members/{user}", response_model=MemberReply)
def set_member(
    services: AllServices, caller: Caller, project: str, user: UserName, body: MemberBody
) -> Response:
    """Give a user a role in the project; a new name makes a new user. Needs the role admin."""
    _require_admin(caller, project)
    with services.database.transaction() as tx:
        user_id = projects.ensure_user(tx, user, at=services.clock.now())
        projects.give_role(tx, user_id, caller.project_id, body.role)
    services.identity.forget()
    return json_response({"user": user, "role": body.role})


@router.delete("/{project}/members/{user}", status_code=204)
def remove_member(services: AllServices, caller: Caller, project: str, user: UserName) -> Response:
    """Take a user's role away; their tokens open the project no longer. Needs the role admin."""
    _require_admin(caller, project)
    with services.database.transaction() as tx:
        projects.remove_member(tx, caller.project_id, user)
    services.identity.forget()
    return Response(status_code=204)


@router.get("/{project}/credentials", response_model=CredentialsReply)
def get_credentials(services: AllServices, caller: Caller, project: str) -> Response:
    """The names of the project's credentials for the object store. Needs the role admin."""
    _require_admin(caller, project)
    with services.database.read() as tx:
        found = credentials.find(tx, caller.project_id)
    if found is None:
        raise NoCredentialsError(f"the project {project!r} has no credentials of its own")
    return json_response(_credentials_json(services, project, found))


@router.put("/{project}/credentials", response_model=CredentialsReply)
def set_credentials(
    services: AllServices, caller: Caller, project: str, body: CredentialsBody
) -> Response:
    """Name the credentials of the project's engines and batches, which are in the cluster; its
    engines take no new statements. Needs an administrator: a pod can use any Secret beside it."""
    _require_admin(caller, project)
    caller.require_administrator()
    secret = None if body.secret is None else SecretKeys(**body.secret.model_dump())
    given = Credentials(secret=secret, service_account=body.service_account)
    with services.database.transaction() as tx:
        credentials.put(tx, caller.project_id, given, at=services.clock.now())
    return json_response(_credentials_json(services, project, given))


@router.delete("/{project}/credentials", status_code=204)
def remove_credentials(services: AllServices, caller: Caller, project: str) -> Response:
    """The project has none of its own any more; it uses the service's, if the settings let it.
    Needs an administrator."""
    _require_admin(caller, project)
    caller.require_administrator()
    with services.database.transaction() as tx:
        credentials.remove(tx, caller.project_id)
    return Response(status_code=204)


def _credentials_json(services: Services, project: str, found: Credentials) -> dict[str, Any]:
    return {
        "project": project,
        "secret": None if found.secret is None else asdict(found.secret),
        "service_account": found.service_account,
        "in_force": services.settings.launcher == "kubernetes",
    }


def _require_admin(caller: Principal, project: str) -> None:
    """The project in the path must be that of the request, which is the caller's."""
    if project != caller.project_id:
        raise ProjectMissingError(
            f"this request is about the project {caller.project_id!r}, not {project!r}",
            hint=f"send the header DLI-Project: {project}",
        )
    caller.require(Role.ADMIN)


def _role(caller: Principal, granted: Role | None) -> Role | None:
    return Role.ADMIN if caller.administrator else granted


def project_json(project: Project, role: Role | None) -> dict[str, Any]:
    """A project on the wire."""
    return {
        "id": project.id,
        "name": project.id,
        "description": project.description,
        "created_at": moment(project.created_at),
        "role": role,
    }
