"""A new project is ready to use: it has a queue and a database named ``default``."""

from __future__ import annotations

from dli.identity import projects
from dli.identity.identity import DEFAULT_PROJECT
from dli.identity.principals import Role
from dli.identity.projects import Project
from dli.services import Services
from jobs.queues.definitions import DEFAULT_QUEUE
from jobs.service import QueueDef, QueueExistsError
from storage.base.ids import ProjectId, UserId
from storage.catalog.commands import CreateDatabase
from storage.catalog.names import DEFAULT_DATABASE


def open_project(
    services: Services, name: str, description: str | None, *, admin: UserId
) -> Project:
    """Create a project, furnish it, and make ``admin`` its admin."""
    with services.database.transaction() as tx:
        made = projects.create_project(tx, name, description=description, at=services.clock.now())
        projects.give_role(tx, admin, made.id, Role.ADMIN)
    furnish(services, made.id)
    return made


def furnish(services: Services, project_id: ProjectId = DEFAULT_PROJECT) -> None:
    """Make the default queue and database as far as they are missing."""
    with services.database.transaction() as tx:
        services.catalog.apply(
            tx, project_id, CreateDatabase(name=DEFAULT_DATABASE, if_not_exists=True)
        )
    if any(queue.name == DEFAULT_QUEUE for queue in services.jobs.queues.every(project_id)):
        return
    try:
        services.jobs.queues.create(QueueDef(project_id=project_id, name=DEFAULT_QUEUE))
    except QueueExistsError:
        return  # another replica was first
