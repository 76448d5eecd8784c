"""Calls of functions reach the engine as they were written.

sqlglot reads many calls into classes of its own and prints them as what another dialect would say:
``to_char(x, '999')`` comes out as ``CAST(x AS STRING)``, ``percentile_cont`` as an approximation,
``max_by(a, b, 3)`` without the 3. For understanding a statement that does; for running it, it does
not. So the tree for the engine is parsed once more (which costs less than a copy of the first),
with such names marked so that the parser does not know them. ``test_calls.py`` looks for those
names with the sqlglot that is installed.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from sql.syntax.parse import Parsed, parse_tokens

_NAMES: Final = """
    approx_percentile array_agg array_append array_insert array_prepend array_remove array_size
    array_sort bit_get ceil ceiling char char_length character_length collate collect_list
    current_catalog date_diff date_format date_sub date_trunc dateadd datediff element_at first
    floor from_utc_timestamp get_json_object hex ifnull initcap instr last last_day lcase len
    listagg localtimestamp locate log log10 log2 lpad map_from_arrays max max_by min min_by mod
    named_struct nvl parse_json percentile percentile_approx percentile_cont percentile_disc pow
    rand random reduce regexp_extract regexp_extract_all regexp_replace rpad sequence sha1 shiftleft
    shiftright signum size slice sort_array space str_to_map string_agg struct timestampadd to_char
    to_date to_json to_number to_timestamp to_unix_timestamp to_utc_timestamp trunc try_element_at
    ucase unix_date unix_timestamp uuid var_samp
"""
FAITHLESS: Final = frozenset(_NAMES.split())


def engine_tree(parsed: Parsed) -> exp.Expr:
    """A fresh tree of the statement in which every call has the name and arguments as written.

    Parameters are placeholders in it, names are not looked up.
    """
    return parse_tokens(parsed.text, parsed.clean, parsed.tokens, FAITHLESS)
