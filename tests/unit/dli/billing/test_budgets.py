"""Budgets are set, replaced, listed and lifted, for their project only."""

from __future__ import annotations

import pytest

from dli.billing import budgets
from dli.billing.budgets import Budget, BudgetMissingError, InvalidMonthError
from dli.billing.money import Money
from storage.base.ids import ProjectId
from storage.meta.database import Database

ONE, OTHER = ProjectId("one"), ProjectId("other")


def budget(month: str, dollars: int) -> Budget:
    return Budget(month=month, cap=Money("USD", dollars * 10**9))


def test_the_last_word_on_a_month_counts(database: Database) -> None:
    with database.transaction() as tx:
        budgets.set_budget(tx, ONE, budget("2026-11", 5))
        budgets.set_budget(tx, ONE, budget("2026-11", 7))
        budgets.set_budget(tx, ONE, budget("every", 1))
        assert budgets.list_budgets(tx, ONE) == (budget("2026-11", 7), budget("every", 1))
        assert budgets.cap_of(tx, ONE, "2026-11") == 7 * 10**9
        assert budgets.cap_of(tx, ONE, "2026-12") == 10**9


def test_another_project_has_no_cap(database: Database) -> None:
    with database.transaction() as tx:
        budgets.set_budget(tx, ONE, budget("every", 5))
        assert budgets.cap_of(tx, OTHER, "2026-11") is None
        assert budgets.list_budgets(tx, OTHER) == ()
        with pytest.raises(BudgetMissingError):
            budgets.drop_budget(tx, OTHER, "every")


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "november", "2026-1", "", "2026-11-01"])
def test_a_month_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidMonthError):
        budgets.check_month(text)
