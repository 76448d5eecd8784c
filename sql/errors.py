"""What can be wrong with a statement's text. Places are from 1, in characters of the text.

``line`` and ``column`` travel in the details wherever the place is known; ``Failure.of`` lifts
them out. Messages name things, never the text of the statement.
"""

from __future__ import annotations

from storage.base.errors import ConflictError, InvalidInputError, RefusedError, TooLargeError


class SqlError(InvalidInputError):
    """Anything about a statement that its author can mend by changing it."""

    code = "sql_error"


class SqlSyntaxError(SqlError):
    """The text is not SQL as Spark understands it."""

    code = "sql_syntax"


class EmptyStatementError(SqlError):
    """There is no statement in the text."""

    code = "empty_statement"


class SeveralStatementsError(SqlError):
    """A request holds one statement; a script is split by the one who sends it."""

    code = "several_statements"


class UnsupportedStatementError(SqlError):
    """SQL that is right, and that this service does not serve."""

    code = "unsupported_statement"


class ParameterError(SqlError):
    """A parameter is missing, unknown, unused or of a type that does not fit."""

    code = "invalid_parameter"


class TableNotFoundError(SqlError):
    """The statement names a table that the catalog does not have."""

    code = "table_not_found"


class DatabaseNotFoundError(SqlError):
    """The statement names a database that the catalog does not have."""

    code = "database_not_found"


class ColumnNotFoundError(SqlError):
    """The statement names a column that none of its relations has."""

    code = "column_not_found"


class AmbiguousColumnError(SqlError):
    """A column without a qualifier is in more than one of the relations."""

    code = "ambiguous_column"


class ColumnNotGroupedError(SqlError):
    """A column stands beside an aggregate, in a query without GROUP BY."""

    code = "column_not_grouped"


class FunctionNotFoundError(SqlError):
    """No engine knows a function of that name."""

    code = "function_not_found"


class TypeMismatchError(SqlError):
    """A value is of a type that does not fit where it stands."""

    code = "type_mismatch"


class ColumnCountError(SqlError):
    """A write gives more or fewer columns than its target takes."""

    code = "column_count"


class ViewBrokenError(SqlError):
    """The text of a view no longer fits the tables under it, or views refer to each other."""

    code = "view_broken"


class NotATableError(SqlError):
    """A view where a table is needed, or a table where a view is needed."""

    code = "not_a_table"


class TableAlreadyThereError(ConflictError):
    """A CREATE TABLE AS names a table that exists."""

    code = "table_already_there"


class StatementTooLargeError(TooLargeError):
    """More text, or more parts in it, than is read."""

    code = "statement_too_large"


class StatementTooDeepError(SqlError):
    """Nested deeper than is followed, or growing past all bounds when expanded."""

    code = "statement_too_deep"


class EstimateTimeoutError(SqlError):
    """The statement could not be understood and priced within the time for that."""

    code = "estimate_timeout"


class GuardRefusedError(RefusedError):
    """A guard rule of level refuse speaks against the statement; ``rule`` is in the details."""

    code = "guard_refused"
