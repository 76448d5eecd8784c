"""Who asks, for which project, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.base.errors import ForbiddenError, UnauthenticatedError
from storage.base.ids import ProjectId, UserId


class Role(StrEnum):
    """What one may do in a project; each role may do what those before it may."""

    READER = "reader"  #: run queries, read everything
    WRITER = "writer"  #: change databases and tables
    ADMIN = "admin"  #: queues, budgets, tokens of the project

    @property
    def rank(self) -> int:
        """0 for the least."""
        return _ORDER.index(self)


_ORDER = (Role.READER, Role.WRITER, Role.ADMIN)


class AnonymousError(UnauthenticatedError):
    """No token came with the request."""

    code = "token_missing"


class TokenInvalidError(UnauthenticatedError):
    """The token is unknown, expired or revoked; which of them is not told."""

    code = "token_invalid"


class RoleMissingError(ForbiddenError):
    """The caller's role does not reach."""

    code = "role_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller, in the one project that the request is about."""

    user_id: UserId
    user: str
    token_id: str
    project_id: ProjectId
    role: Role
    administrator: bool  #: of the whole service: creates projects
    bound: bool  #: the token is good for this project only
    expires_at: datetime | None = None  #: of the token

    @property
    def may_write(self) -> bool:
        """Whether databases and tables may be changed."""
        return self.role.rank >= Role.WRITER.rank

    def require(self, role: Role) -> None:
        """Raise ``RoleMissingError`` unless the caller has at least ``role`` in the project."""
        if self.role.rank < role.rank:
            raise RoleMissingError(
                f"this needs the role {role} in project {self.project_id!r}, "
                f"{self.user!r} has {self.role}",
                hint="ask an admin of the project",
                role=role.value,
            )

    def require_administrator(self) -> None:
        """Raise ``RoleMissingError`` unless the caller administers the whole service."""
        if not self.administrator or self.bound:
            raise RoleMissingError(
                f"this needs an administrator of the service, {self.user!r} is not, or came "
                "with the token of one project",
                hint="use the token that the first start has made",
            )
