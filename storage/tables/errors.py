"""What is wrong with the files of a table. Each error names the file."""

from __future__ import annotations

from storage.base.errors import BrokenError, ConflictError, GoneError, InvalidInputError


class TableFilesGoneError(GoneError):
    """Files that the table had are no longer at its location."""

    code = "table_files_gone"


class NoFilesError(InvalidInputError):
    """Nothing at the location tells what columns the table has."""

    code = "no_files"


class CorruptFileError(InvalidInputError):
    """A file that is not of the table's format, or is cut off."""

    code = "corrupt_file"


class FileTypeChangedError(InvalidInputError):
    """A file has a column in a type that cannot be read as the table's."""

    code = "file_type_changed"


class PartitionLayoutError(InvalidInputError):
    """The folders of a partitioned table do not all have the same partition columns."""

    code = "partition_layout"


class ReaderOptionError(InvalidInputError):
    """An option of a format that is unknown, or has a value that it cannot have."""

    code = "reader_option"


class TableNotWritableError(ConflictError):
    """The table's files belong to somebody else, so nothing is inserted."""

    code = "table_not_writable"


class StageClosedError(ConflictError):
    """The folder that was written is committed or given up already."""

    code = "stage_closed"


class PartialWriteError(BrokenError):
    """An engine said that it was done, and left unfinished files."""

    code = "partial_write"
    retryable = True


class WrittenSchemaUnknownError(ConflictError):
    """A table was to take its columns from written files, and there are none."""

    code = "written_schema_unknown"
