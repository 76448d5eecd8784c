"""Constants of the compute estimate: CPU seconds as a linear function of what a plan shows.

Source: our cost study of 2026-11, TPC-H and TPC-DS at SF 1 (121 statements, 0.16 to 17.9 CPU
seconds) on Spark 4.2.1 Connect, non-negative fit in log space on half of the statements, tested on
the other half: within a factor of 2 for 67 %, of 3 for 91 %. Compressed bytes got no weight. Sail
uses less. Misses are upwards of it for rollups and joins that multiply rows.
"""

from __future__ import annotations

from typing import Final

#: Milliseconds of one CU that every statement costs: planning, tasks, result.
STATEMENT_MILLIS: Final = 140
#: … and every scan of a table.
SCAN_MILLIS: Final = 7
#: Milliseconds for a million values decoded (rows times columns read).
VALUES_MILLIS: Final = 18
#: … of rows scanned times joins over them.
JOIN_MILLIS: Final = 15
#: … of rows scanned times window functions over them.
WINDOW_MILLIS: Final = 41
#: … of rows scanned times DISTINCTs over them.
DISTINCT_MILLIS: Final = 77
#: The truth lies within this factor either side of the likely value for 91 % of statements.
BAND: Final = 3

_MILLION: Final = 1_000_000


def cu_millis(
    *, scans: int, rows: int, values: int, joins: int, windows: int, distincts: int
) -> int:
    """Likely milliseconds of one CU; ``rows`` and ``values`` are sums over the scans."""
    work = (
        values * VALUES_MILLIS
        + rows * (joins * JOIN_MILLIS + windows * WINDOW_MILLIS + distincts * DISTINCT_MILLIS)
    ) // _MILLION
    return STATEMENT_MILLIS + scans * SCAN_MILLIS + work
