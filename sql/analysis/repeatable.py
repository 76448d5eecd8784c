"""Whether a query gives the same rows each time it reads the same files.

Judged by what it calls and where it cuts: what is unknown counts as repeatable, since Spark's
other functions are. Rows of a wrong answer are not expected to come in any order.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from sql.statement import Repeatable

#: Chance, the clock, who asks, and where a row happens to lie.
_NEVER_NAMES: Final = """
    rand random randn randstr uniform uuid shuffle now localtimestamp current_timestamp
    current_date curdate current_time current_timezone current_user session_user user
    monotonically_increasing_id spark_partition_id input_file_name input_file_block_start
    input_file_block_length version
"""
_NEVER: Final = frozenset(_NEVER_NAMES.split())
#: The clock, where they are called without an argument.
_NEVER_EMPTY: Final = frozenset({"unix_timestamp", "to_unix_timestamp"})
#: What depends on an order that need not be total.
_BY_ORDER_NAMES: Final = """
    first first_value last last_value any_value nth_value lag lead row_number ntile
    array_agg collect_list collect_set group_concat string_agg listagg array_unique_agg mode
    max_by min_by arg_max arg_min approx_count_distinct approx_distinct approx_quantile
    approx_percentile percentile_approx hll_sketch_agg approx_top_k
"""
_BY_ORDER: Final = frozenset(_BY_ORDER_NAMES.split())


def repeatable(query: exp.Expr) -> Repeatable:
    """The least that any part of ``query`` is."""
    found = Repeatable.YES
    for node in query.walk():
        if isinstance(node, exp.Func):
            told = _of_call(node)
        elif isinstance(node, exp.TableSample):
            told = Repeatable.NO
        elif isinstance(node, exp.Query) and (node.args.get("limit") or node.args.get("offset")):
            told = Repeatable.UNSURE if node.args.get("order") else Repeatable.NO
        else:
            continue
        if told is Repeatable.NO:
            return told
        if told is Repeatable.UNSURE:
            found = told
    return found


def _of_call(call: exp.Func) -> Repeatable:
    if isinstance(call, exp.Anonymous):
        names, empty = {call.name.lower()}, not call.expressions
    else:
        names, empty = {name.lower() for name in call.sql_names()}, not any(call.args.values())
    if names & _NEVER or (empty and names & _NEVER_EMPTY):
        return Repeatable.NO
    return Repeatable.UNSURE if names & _BY_ORDER else Repeatable.YES
