"""Rights of authors are those of the moment."""

from __future__ import annotations

import pytest

from dli.identity import projects
from dli.identity.authors import MemberRights
from dli.identity.principals import Role
from jobs.firings.errors import AuthorRightsError
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database
from tests.support.jobs import NOW, PROJECT


def test_rights_are_those_of_the_moment(database: Database) -> None:
    rights = MemberRights()
    with database.transaction() as tx:
        projects.create_project(tx, PROJECT, description=None, at=NOW)
        user = projects.ensure_user(tx, "who", at=NOW)
        boss = projects.ensure_user(tx, "boss", administrator=True, at=NOW)
        for role, may_write in ((Role.READER, False), (Role.WRITER, True), (Role.ADMIN, True)):
            projects.give_role(tx, user, PROJECT, role)
            assert rights.may_write(tx, PROJECT, user) is may_write
        assert rights.may_write(tx, PROJECT, boss)
        for stranger, project in (
            (user, ProjectId("other")),
            (UserId("usr_none"), PROJECT),
        ):
            with pytest.raises(AuthorRightsError):
                rights.may_write(tx, project, stranger)
        projects.remove_member(tx, PROJECT, "who")
        with pytest.raises(AuthorRightsError, match="who"):
            rights.may_write(tx, PROJECT, user)
