"""Projects have good names, once; roles come and go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from dli.identity import projects
from dli.identity.principals import Role
from dli.identity.projects import (
    InvalidProjectNameError,
    Member,
    MemberMissingError,
    ProjectExistsError,
)
from storage.base.clock import ManualClock
from storage.base.ids import ProjectId
from storage.meta.database import Database, Tx

AT = ManualClock().now()
SALES = ProjectId("sales")


@pytest.mark.parametrize("name", ["", "Sales", "1a", "a b", "a/b", "a" * 64, "ä", "-a"])
def test_a_bad_name_is_refused(database: Database, name: str) -> None:
    with database.transaction() as tx, pytest.raises(InvalidProjectNameError):
        projects.create_project(tx, name, description=None, at=AT)


def test_a_name_is_given_once(database: Database) -> None:
    with database.transaction() as tx:
        made = projects.create_project(tx, "sales", description="ours", at=AT)
        assert projects.find_project(tx, SALES) == made
        with pytest.raises(ProjectExistsError):
            projects.create_project(tx, "sales", description=None, at=AT)


def test_users_see_the_projects_they_have_a_role_in(database: Database) -> None:
    with database.transaction() as tx:
        sales = projects.create_project(tx, "sales", description=None, at=AT)
        other = projects.create_project(tx, "other", description=None, at=AT)
        ann = projects.ensure_user(tx, "ann", at=AT)
        projects.give_role(tx, ann, SALES, Role.READER)
        assert projects.list_projects(tx, ann) == (sales,)
        assert projects.list_projects(tx, None) == (other, sales)


def test_a_second_role_takes_the_place_of_the_first(database: Database) -> None:
    with database.transaction() as tx:
        projects.create_project(tx, "sales", description=None, at=AT)
        ann = projects.ensure_user(tx, "ann", at=AT)
        assert projects.ensure_user(tx, "ann", at=AT) == ann
        projects.give_role(tx, ann, SALES, Role.READER)
        projects.give_role(tx, ann, SALES, Role.ADMIN)
        assert projects.list_members(tx, SALES) == (Member(user="ann", role=Role.ADMIN),)
        projects.remove_member(tx, SALES, "ann")
        assert projects.role_of(tx, ann, SALES) is None
        with pytest.raises(MemberMissingError):
            projects.remove_member(tx, SALES, "ann")


def test_of_two_who_add_a_member_at_once_the_second_is_kept(database: Database) -> None:
    with database.transaction() as tx:
        projects.create_project(tx, SALES, description=None, at=AT)

    def add(tx: Tx, role: Role) -> None:
        projects.give_role(tx, projects.ensure_user(tx, "ann", at=AT), SALES, role)

    def again() -> None:
        with database.transaction() as tx:
            add(tx, Role.WRITER)

    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            add(tx, Role.READER)
            other = threads.submit(again)
            wait([other], timeout=0.3)  # it waits for us, at the latest where it writes
        other.result(timeout=60)
    with database.read() as tx:
        assert projects.list_members(tx, SALES) == (Member(user="ann", role=Role.WRITER),)
