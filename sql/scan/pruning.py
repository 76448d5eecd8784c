"""Which row groups may hold a row that a condition lets through.

False means certainly not: that is what a bill and a skipped file rest on. So NULLs, NaN, missing
statistics and everything not understood count as "may".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sql.scan.conditions import (
    All,
    Condition,
    Differs,
    Either,
    Maybe,
    Never,
    Null,
    OneOf,
    Range,
)
from sql.scan.units import Units
from storage.tables.snapshots import ColumnStats

Mask = npt.NDArray[np.bool_]


def may_hold(condition: Condition, units: Units) -> Mask:
    """For each unit, whether one of its rows may satisfy ``condition``; no rows, no row."""
    return np.asarray(_evaluate(condition, units) & (units.rows != 0), dtype=np.bool_)


def _evaluate(condition: Condition, units: Units) -> Mask:
    match condition:
        case Maybe():
            return np.ones(units.count, dtype=np.bool_)
        case Never():
            return np.zeros(units.count, dtype=np.bool_)
        case All(parts):
            return _joined(np.logical_and, parts, units)
        case Either(parts):
            return _joined(np.logical_or, parts, units)
        case Null(column=column, negated=negated):
            stats = units.stats.get(column)
            if stats is None:
                return np.ones(units.count, dtype=np.bool_)
            return _some_value(stats, units) if negated else np.asarray(stats.nulls != 0)
    stats = units.stats.get(condition.column)
    if stats is None:
        return np.ones(units.count, dtype=np.bool_)
    held = _some_value(stats, units)
    if stats.lower is None or stats.upper is None:
        return held
    places = np.flatnonzero(held & stats.bounded)
    if not len(places):
        return held
    held[places] = _within(condition, stats.lower[places], stats.upper[places])
    return held


def _joined(join: np.ufunc, parts: tuple[Condition, ...], units: Units) -> Mask:
    return np.asarray(join.reduce([_evaluate(part, units) for part in parts]), dtype=np.bool_)


def _some_value(stats: ColumnStats, units: Units) -> Mask:
    """Where not every value is NULL; a count of -1 is unknown."""
    return np.asarray((stats.nulls != units.rows) | (stats.nulls < 0), dtype=np.bool_)


def _within(
    condition: Range | Differs | OneOf,
    lower: npt.NDArray[np.generic],
    upper: npt.NDArray[np.generic],
) -> Mask:
    match condition:
        case Range(low=low, high=high, open_high=open_high, nan=nan):
            held = np.ones(len(lower), dtype=np.bool_)
            if low is not None and not nan:
                held &= np.asarray(upper >= low, dtype=np.bool_)
            if high is not None:
                below = lower < high if open_high else lower <= high
                held &= np.asarray(below, dtype=np.bool_)
            return held
        case Differs(value=value):
            return np.asarray((lower != value) | (upper != value), dtype=np.bool_)
        case OneOf(values=values):
            return _any_between(values, lower, upper)


def _any_between(
    values: tuple[object, ...], lower: npt.NDArray[np.generic], upper: npt.NDArray[np.generic]
) -> Mask:
    """Whether one of the sorted ``values`` lies within the bounds, by two binary searches."""
    wanted = np.empty(len(values), dtype=object)
    wanted[:] = values
    if lower.dtype != object:
        limits = np.iinfo(np.int64) if lower.dtype.kind == "i" else np.finfo(np.float64)
        wanted = wanted[(wanted >= limits.min) & (wanted <= limits.max)].astype(lower.dtype)
    first = np.searchsorted(wanted, lower, side="left")
    last = np.searchsorted(wanted, upper, side="right")
    return np.asarray(first < last, dtype=np.bool_)
