"""The rights of those in whose name jobs run by themselves, as they are at that moment."""

from __future__ import annotations

from sqlalchemy import select

from dli.identity.principals import Role
from dli.identity.projects import role_of
from dli.identity.rows import users
from jobs.firings.errors import AuthorRightsError
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Tx


class MemberRights:
    """``Authors`` by the roles of members."""

    def may_write(self, tx: Tx, project_id: ProjectId, user_id: UserId) -> bool:
        """Whether the user may change tables. Raises ``AuthorRightsError`` without a role."""
        user = tx.execute(
            select(users.c.name, users.c.administrator).where(users.c.id == user_id)
        ).first()
        if user is not None and user.administrator:
            return True
        role = role_of(tx, user_id, project_id)
        if user is None or role is None:
            name = user_id if user is None else user.name
            raise AuthorRightsError(
                f"{name} has no role in project {project_id!r} any more",
                hint="let somebody else write it again, or give the role back",
                user=name,
            )
        return role.rank >= Role.WRITER.rank
