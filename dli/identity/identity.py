"""From the secret in a request to the one who asks."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select

from dli.identity import projects as directory
from dli.identity.principals import Principal, Role, TokenInvalidError
from dli.identity.projects import ProjectMissingError
from dli.identity.rows import grants, projects, tokens, users
from dli.identity.tokens import NewToken, add_token, hash_secret
from storage.base.clock import Clock
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database

DEFAULT_PROJECT = ProjectId("default")
ADMINISTRATOR = "admin"

#: How long a token that was revoked by another replica may still be good.
REMEMBERED = timedelta(seconds=3)
_MOST = 10_000  # remembered callers


class Identity:
    """Finds callers by their tokens and remembers them for ``REMEMBERED``.

    What this process revokes is forgotten at once (``forget``).
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()  # guards _known
        self._known: dict[tuple[str, str | None], tuple[float, Principal]] = {}

    def remembered(self, secret: str, project: str | None) -> Principal | None:
        """The caller, if known since a moment ago; no I/O."""
        entry = self._known.get((hash_secret(secret), project))
        if entry is None or entry[0] < self._clock.monotonic():
            return None
        caller = entry[1]
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return None
        return caller

    def authenticate(self, secret: str, project: str | None) -> Principal:
        """The caller, in ``project`` or else in the token's, or else in the default one.

        Raises ``TokenInvalidError``, and ``ProjectMissingError`` for a project that does not exist
        or in which the caller has no role: the two look alike.
        """
        known = self.remembered(secret, project)
        if known is not None:
            return known
        caller = self._find(hash_secret(secret), project)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            until = self._clock.monotonic() + REMEMBERED.total_seconds()
            self._known[hash_secret(secret), project] = (until, caller)
        return caller

    def forget(self) -> None:
        """Look everybody up again: rights have changed."""
        with self._lock:
            self._known.clear()

    def _find(self, hashed: str, project: str | None) -> Principal:
        with self._database.read() as tx:
            wanted = func.coalesce(project, tokens.c.project_id, DEFAULT_PROJECT)
            row = tx.execute(
                select(
                    tokens,
                    users.c.name.label("user"),
                    users.c.administrator,
                    projects.c.id.label("project"),
                    grants.c.role.label("granted"),
                )
                .join(users, users.c.id == tokens.c.user_id)
                .outerjoin(projects, projects.c.id == wanted)
                .outerjoin(
                    grants,
                    and_(grants.c.user_id == users.c.id, grants.c.project_id == projects.c.id),
                )
                .where(tokens.c.hash == hashed)
            ).first()
        if row is None or row.revoked_at is not None or self._over(row.expires_at):
            raise TokenInvalidError(
                "the token is not known, or no longer",
                hint="tokens are made with `dli token create`",
            )
        granted = Role.ADMIN if row.administrator else row.granted and Role(row.granted)
        foreign = row.project_id is not None and row.project_id != row.project
        if row.project is None or granted is None or foreign:
            name = project or row.project_id or DEFAULT_PROJECT
            raise ProjectMissingError(
                f"there is no project {name!r} for you",
                hint="`dli project list` shows your projects",
                project=name,
            )
        return Principal(
            user_id=UserId(row.user_id),
            user=row.user,
            token_id=row.id,
            project_id=ProjectId(row.project),
            role=min(granted, Role(row.role), key=lambda role: role.rank),
            administrator=row.administrator and Role(row.role) is Role.ADMIN,
            bound=row.project_id is not None,
            expires_at=row.expires_at,
        )

    def _over(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and expires_at <= self._clock.now()


def ensure_administrator(database: Database, *, secret: str, at: datetime) -> None:
    """Make the first project, its administrator and a token of this secret, as far as missing.

    Safe to repeat and to run in two replicas at once.
    """
    with database.transaction() as tx:
        database.lock(tx, "identity.bootstrap")
        if directory.find_project(tx, DEFAULT_PROJECT) is None:
            directory.create_project(
                tx, DEFAULT_PROJECT, description="made by the first start", at=at
            )
        user_id = directory.ensure_user(tx, ADMINISTRATOR, administrator=True, at=at)
        directory.give_role(tx, user_id, DEFAULT_PROJECT, Role.ADMIN)
        known = tx.execute(select(tokens.c.id).where(tokens.c.hash == hash_secret(secret)))
        if known.first() is None:
            token = NewToken(
                name="first start", user_id=user_id, project_id=None, role=Role.ADMIN,
                expires_at=None,
            )  # fmt: skip
            add_token(tx, token, secret=secret, at=at)
