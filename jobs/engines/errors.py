"""What can go wrong with an engine: the user's mistakes by kind, and the platform's troubles.

::

    EngineStatementError (400)      the statement or its data; every attempt would fail alike
    ├── DivisionByZeroError, CastInvalidError, …
    ├── InputFileMissingError, InputFileBrokenError
    └── ResultTooLargeError         to be answered by writing the result to files
    StatementInterruptedError (409) it was asked to stop, and did
    EngineCannotReadError (422)     this engine has no way to the table
    EngineOutOfMemoryError (500)    another attempt would meet the same bound
    EngineLostError, EngineStartError (503, retryable)
"""

from __future__ import annotations

from storage.base.errors import (
    BrokenError,
    ConflictError,
    InvalidInputError,
    RefusedError,
    UnavailableError,
)


class EngineStatementError(InvalidInputError):
    """The engine refuses the statement, or fails over its data, in a way that has no own code."""

    code = "engine_error"


class DivisionByZeroError(EngineStatementError):
    """A division by zero."""

    code = "division_by_zero"


class CastInvalidError(EngineStatementError):
    """A value that cannot be read as the type it is cast to."""

    code = "cast_invalid"


class DatetimeInvalidError(EngineStatementError):
    """A text that is no date or time in the format it is read by, or a date that does not exist."""

    code = "datetime_invalid"


class NumericOverflowError(EngineStatementError):
    """A number that does not fit its type."""

    code = "numeric_overflow"


class IndexOutOfBoundsError(EngineStatementError):
    """An element of an array or a map that is not there."""

    code = "index_out_of_bounds"


class SubqueryRowsError(EngineStatementError):
    """A subquery that stands for one value gives more than one row."""

    code = "subquery_rows"


class DuplicateKeyError(EngineStatementError):
    """A map with the same key twice."""

    code = "duplicate_map_key"


class RaisedError(EngineStatementError):
    """The statement raised an error itself: ``raise_error``, ``assert_true``."""

    code = "raised_by_statement"


class PatternInvalidError(EngineStatementError):
    """A regular expression, or a LIKE pattern, that cannot be read."""

    code = "pattern_invalid"


class EngineTypeMismatchError(EngineStatementError):
    """Types that do not go together, found only by the engine."""

    code = "type_mismatch"


class EngineNameError(EngineStatementError):
    """A column or a table that the engine does not find."""

    code = "name_not_resolved"


class EngineSyntaxError(EngineStatementError):
    """Text that this engine cannot parse though our parser can."""

    code = "engine_syntax"


class EngineUnsupportedError(EngineStatementError):
    """A function or a form of SQL that this engine does not have."""

    code = "engine_unsupported"


class InputFileMissingError(EngineStatementError):
    """A file of a table is not where it was when the table was looked at."""

    code = "input_file_missing"


class InputFileBrokenError(EngineStatementError):
    """A file of a table cannot be read as what it is registered as."""

    code = "input_file_broken"


class ResultTooLargeError(EngineStatementError):
    """More rows than may pass through the engine's coordinator."""

    code = "engine_result_too_large"


class StatementInterruptedError(ConflictError):
    """The statement was stopped before its end."""

    code = "statement_interrupted"


class EngineCannotReadError(RefusedError):
    """The engine has no way to read, or to write, a place."""

    code = "engine_cannot_read"


class EngineOutOfMemoryError(BrokenError):
    """The statement needs more memory than its engine may use."""

    code = "engine_out_of_memory"


class EngineLostError(UnavailableError):
    """The engine died, or does not answer any more; what it was doing is lost."""

    code = "engine_lost"


class EngineStartError(UnavailableError):
    """The engine did not come up."""

    code = "engine_start_failed"


class EngineRefusedError(BrokenError):
    """The engine can never come up as it is set up; details tell the reason and whose it is."""

    code = "engine_refused"
