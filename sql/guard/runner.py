"""All guard rules in their order, and what they find."""

from __future__ import annotations

from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import OFF, GuardLimits
from sql.guard.rules.cross_join import CROSS_JOIN
from sql.guard.rules.generator_bomb import GENERATOR_BOMB
from sql.guard.rules.long_in_list import LONG_IN_LIST
from sql.guard.rules.many_distincts import MANY_DISTINCTS
from sql.guard.rules.many_joins import MANY_JOINS
from sql.guard.rules.many_unions import MANY_UNIONS
from sql.guard.rules.max_bytes import MAX_BYTES
from sql.guard.rules.no_partition_filter import NO_PARTITION_FILTER
from sql.guard.rules.non_equi_join import NON_EQUI_JOIN
from sql.guard.rules.not_in_subquery import NOT_IN_SUBQUERY
from sql.guard.rules.order_without_limit import ORDER_WITHOUT_LIMIT
from sql.guard.rules.reaches_outside import REACHES_OUTSIDE
from sql.guard.rules.select_star import SELECT_STAR
from sql.guard.rules.small_files import SMALL_FILES
from sql.guard.rules.window_without_partition import WINDOW_WITHOUT_PARTITION
from sql.statement import Finding, FindingLevel

#: Those that refuse come first, so that the first finding is the one to tell.
RULES: Final[tuple[GuardRule, ...]] = (
    REACHES_OUTSIDE,
    MAX_BYTES,
    CROSS_JOIN,
    NON_EQUI_JOIN,
    GENERATOR_BOMB,
    NO_PARTITION_FILTER,
    NOT_IN_SUBQUERY,
    WINDOW_WITHOUT_PARTITION,
    SELECT_STAR,
    ORDER_WITHOUT_LIMIT,
    MANY_DISTINCTS,
    MANY_JOINS,
    MANY_UNIONS,
    LONG_IN_LIST,
    SMALL_FILES,
)


def run(candidate: Candidate, limits: GuardLimits) -> tuple[Finding, ...]:
    """What the rules have to say, in the order of ``RULES``; raises nothing."""
    findings = []
    for rule in RULES:
        level = level_of(rule, limits)
        if level is not None:
            findings += [
                Finding(rule=rule.code, level=level, message=message)
                for message in rule.check(candidate, limits)
            ]
    return tuple(findings)


def level_of(rule: GuardRule, limits: GuardLimits) -> FindingLevel | None:
    """What a finding of ``rule`` does under ``limits``; None where the rule is off."""
    wanted = limits.levels.get(rule.code)
    if rule.fixed or wanted is None:
        return rule.level
    return None if wanted == OFF else FindingLevel(wanted)
