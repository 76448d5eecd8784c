"""Refuse functions that run code, read files or open connections from within an engine.

Relations named by a path and table functions that are not known are refused before, when names are
bound (``sql.analysis.names``). No queue can allow these: an engine serves every author of a queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from sql.statement import FindingLevel

_NAMES: Final = frozenset(
    """ai_query cloud_files_state from_avro_file http_request input http_get http_post java_method
    load_file read_avro read_csv read_files read_json read_kafka read_parquet read_text reflect
    remote_query secret transform_python try_java_method try_reflect try_secret""".split()  # noqa: SIM905
)


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    queries = (candidate.bound.query, *candidate.bound.views.values())
    found: dict[str, None] = {}
    for query in queries:
        for call in query.find_all(exp.Func) if query is not None else ():
            name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
            if name.lower() in _NAMES:
                found[name.lower()] = None
    for name in found:
        yield f"{name} reaches outside of the statement's tables and is never allowed"


REACHES_OUTSIDE: Final = GuardRule(
    code="reaches_outside", check=_check, level=FindingLevel.REFUSE, fixed=True
)
