"""Statements that run many times a second, compiled once and given to the driver as they are.

SQLAlchemy still writes the SQL and converts the values; what is left out is what it does anew for
each execution, which costs several times what SQLite needs for a row found by its key.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable

from storage.meta.database import Dialect, Tx

Values = Mapping[str, Any]
Row = Any  # a named tuple of the statement's columns
_Convert = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A statement in the words of one database, for values of certain names."""

    sql: str
    binds: Sequence[tuple[str, _Convert]]  # in the order of the SQL, without the constants
    constants: Mapping[str, Any]
    order: Sequence[str] | None  # None: the driver takes values by name
    row: Callable[[Sequence[Any]], Row]
    columns: Sequence[_Convert]

    def given(self, values: Values) -> Any:
        """``values`` as the driver wants them; a missing one is a ``KeyError``."""
        named = dict(self.constants)
        for name, convert in self.binds:
            value = values[name]
            named[name] = value if convert is None else convert(value)
        return named if self.order is None else [named[name] for name in self.order]

    def read(self, row: Sequence[Any]) -> Row:
        """What the driver gave, with the types of the columns."""
        return self.row(
            [
                value if convert is None else convert(value)
                for value, convert in zip(row, self.columns, strict=True)
            ]
        )


class Prepared:
    """A statement with ``bindparam``s, or an ``insert`` of whatever columns are given.

    ``statement`` may differ by dialect. It must not expand lists (``in_``). Errors are the driver's
    own, which ``Database`` translates like SQLAlchemy's at the end of the transaction.
    """

    def __init__(self, statement: Executable | Mapping[Dialect, Executable]) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def run(self, tx: Tx, values: Values) -> None:
        """Execute; rows, if any, are of no interest."""
        self._execute(tx, values)

    def run_each(self, tx: Tx, rows: Sequence[Values]) -> None:
        """Execute for each of a few ``rows``."""
        for values in rows:
            self._execute(tx, values)

    def run_many(self, tx: Tx, rows: Sequence[Values]) -> int:
        """Execute for all of ``rows``, which name the same values; how many rows were changed.

        One call of the driver: PostgreSQL is sent all of them before the first is waited for. For
        statements that give no rows.
        """
        if not rows:
            return 0
        compiled = self._for(tx, rows[0])
        driver: Any = tx.connection.dbapi_connection
        cursor = driver.cursor()
        cursor.executemany(compiled.sql, [compiled.given(values) for values in rows])
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def all(self, tx: Tx, values: Values) -> list[Row]:
        """All rows."""
        compiled, rows = self._execute(tx, values)
        return [compiled.read(row) for row in rows]

    def first(self, tx: Tx, values: Values) -> Row | None:
        """The first row, None if there is none."""
        compiled, rows = self._execute(tx, values)
        return compiled.read(rows[0]) if rows else None

    def _execute(self, tx: Tx, values: Values) -> tuple[_Compiled, Sequence[Sequence[Any]]]:
        compiled = self._for(tx, values)
        driver: Any = tx.connection.dbapi_connection
        cursor = driver.execute(compiled.sql, compiled.given(values))
        # All at once: a statement that is left open on SQLite would keep its transaction from
        # committing.
        return compiled, cursor.fetchall() if cursor.description else ()

    def _for(self, tx: Tx, values: Values) -> _Compiled:
        key = (tx.dialect.name, *values)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self._compile(tx, list(values))
        return compiled

    def _compile(self, tx: Tx, names: list[str]) -> _Compiled:
        dialect: Any = tx.dialect
        statement: Any = self._statement
        if isinstance(statement, Mapping):
            statement = statement[dialect.name]
        made = statement.compile(dialect=dialect, column_keys=names)
        if "POSTCOMPILE" in made.string:
            raise TypeError("a prepared statement cannot hold a list of values")
        binds, constants = [], {}
        for name, bind in made.binds.items():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if name in names:
                binds.append((name, convert))
            elif bind.required:
                raise KeyError(name)
            else:
                value = bind.effective_value
                constants[name] = value if convert is None else convert(value)
        columns = list(getattr(statement, "exported_columns", ()))
        named: Any = namedtuple  # mypy wants to know the names
        return _Compiled(
            sql=made.string,
            binds=binds,
            constants=constants,
            order=made.positiontup if made.positional else None,
            row=named("Row", [column.name for column in columns], rename=True)._make,
            columns=[
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in columns
            ],
        )
