"""What a catalog refuses. Each error names the thing, and near names where there are any."""

from __future__ import annotations

from storage.base.errors import ConflictError, InvalidInputError, NotFoundError


class DatabaseMissingError(NotFoundError):
    """The project has no database of that name."""

    code = "database_missing"


class TableMissingError(NotFoundError):
    """The database has no table or view of that name."""

    code = "table_missing"


class DatabaseExistsError(ConflictError):
    """A database of that name is there already."""

    code = "database_exists"


class TableExistsError(ConflictError):
    """A table or view of that name is there already."""

    code = "table_exists"


class DatabaseNotEmptyError(ConflictError):
    """A database that still has tables is not dropped without ``CASCADE``."""

    code = "database_not_empty"


class DefaultDatabaseError(ConflictError):
    """The database that names without one mean is never dropped."""

    code = "default_database"


class WrongTableKindError(ConflictError):
    """A view was named where a table is needed, or the other way round."""

    code = "wrong_table_kind"


class TableChangedError(ConflictError):
    """Somebody else changed the table first; asking again works on the new state."""

    code = "table_changed"
    retryable = True


class InvalidNameError(InvalidInputError):
    """A name that databases, tables or columns cannot have."""

    code = "invalid_name"


class InvalidDefinitionError(InvalidInputError):
    """A table or view that contradicts itself."""

    code = "invalid_definition"


class UnknownTypeError(InvalidInputError):
    """A type that Spark's DDL does not know, or that tables cannot hold."""

    code = "unknown_type"
