"""Options of readers, as Spark spells them, checked before an engine sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.catalog.definitions import TableFormat
from storage.catalog.names import did_you_mean, similar
from storage.tables.errors import ReaderOptionError

_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false", "yes": "true", "no": "false"}
_SYNONYMS = {"delimiter": "sep", "charset": "encoding"}
_FLAGS = {"header", "multiLine", "ignoreLeadingWhiteSpace", "ignoreTrailingWhiteSpace"}
_CHARACTERS = {"quote", "escape", "comment"}
_KNOWN: dict[TableFormat, tuple[str, ...]] = {
    TableFormat.PARQUET: (),
    TableFormat.CSV: (
        "header", "sep", "quote", "escape", "comment", "nullValue", "multiLine", "dateFormat",
        "timestampFormat", "encoding", "ignoreLeadingWhiteSpace", "ignoreTrailingWhiteSpace",
    ),
    TableFormat.JSON: ("dateFormat", "timestampFormat", "encoding"),
}  # fmt: skip
#: What people write out of habit and what is so anyway: schemas are always kept in the catalog.
_WITHOUT_EFFECT = {"inferschema", "mergeschema", "path", "mode"}


def checked_options(
    kind: TableFormat, options: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """``options`` in Spark's own spelling, sorted, for a reader of ``kind``.

    Raises ``ReaderOptionError`` for unknown names and for values that cannot be.
    """
    known = {name.lower(): name for name in _KNOWN[kind]}
    done: dict[str, str] = {}
    for given, value in options:
        lowered = _SYNONYMS.get(given.lower(), given.lower())
        if lowered in _WITHOUT_EFFECT:
            continue
        name = known.get(lowered)
        if name is None:
            raise ReaderOptionError(
                f"{kind} files have no option {given!r}",
                hint=did_you_mean(
                    (known[near] for near in similar(lowered, known)),
                    f"known are {', '.join(known.values())}" if known else "leave it out",
                ),
            )
        done[name] = _checked(name, value)
    return tuple(sorted(done.items()))


def reader_options(kind: TableFormat, options: Iterable[tuple[str, str]]) -> dict[str, str]:
    """``options`` of a table, and with them what a reader has to be told where they are silent.

    A quote within quotes is doubled, as RFC 4180 has it and most programs write it: so Sail reads
    by itself, while Spark would take a backslash for the escape.
    """
    told = dict(options)
    if kind is TableFormat.CSV:
        told.setdefault("escape", told.get("quote", '"'))
    return told


def _checked(name: str, value: str) -> str:
    if name in _FLAGS:
        if value.lower() not in _TRUTH:
            raise ReaderOptionError(f"the option {name} is true or false, not {value!r}")
        return _TRUTH[value.lower()]
    if name == "sep":
        value = {"\\t": "\t", "tab": "\t"}.get(value, value)
        if len(value) != 1 or value in "\r\n":
            raise ReaderOptionError(f"the option sep is one character, not {value!r}")
    if name in _CHARACTERS and len(value) > 1:
        raise ReaderOptionError(f"the option {name} is one character, not {value!r}")
    if name == "encoding" and value.lower().replace("-", "") != "utf8":
        raise ReaderOptionError(f"files are read as UTF-8, not as {value!r}")
    return value
