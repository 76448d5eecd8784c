"""Point out literals that ask a function for very many rows, elements or characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from sql.scan.constants import Kind, fold

_CLASSES: Final[dict[type[exp.Expr], str]] = {
    exp.GenerateSeries: "sequence",
    exp.Repeat: "repeat",
    exp.Pad: "lpad or rpad",
    exp.Space: "space",
}
_NAMES: Final = frozenset({"range", "sequence", "array_repeat", "repeat", "lpad", "rpad", "space"})


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    query = candidate.bound.query
    for call in query.find_all(exp.Func) if query is not None else ():
        name = call.name.lower() if isinstance(call, exp.Anonymous) else _CLASSES.get(type(call))
        if name is None or (isinstance(call, exp.Anonymous) and name not in _NAMES):
            continue
        most = max((abs(number) for number in _numbers(call)), default=0)
        if most > limits.generated_rows:
            yield f"{name} is asked for {most}, more than {limits.generated_rows}"
            return


def _numbers(call: exp.Expr) -> Iterator[int]:
    for argument in call.iter_expressions():
        value = fold(argument)
        if value is not None and value.kind is Kind.INTEGER:
            yield int(value.low)


GENERATOR_BOMB: Final = GuardRule(code="generator_bomb", check=_check)
