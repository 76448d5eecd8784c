"""From a location to columns and a manifest: what registering and refreshing a table share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from storage.base.ids import SnapshotId
from storage.catalog.commands import CreateTable
from storage.catalog.definitions import Column, TableDef, TableFormat
from storage.catalog.discovered import Discovered
from storage.catalog.errors import InvalidDefinitionError, UnknownTypeError
from storage.catalog.names import did_you_mean, similar
from storage.catalog.validation import checked_columns, partitions_last
from storage.objects.api import ObjectInfo
from storage.objects.locations import Locations
from storage.tables.errors import FileTypeChangedError, NoFilesError
from storage.tables.filetypes import readable_as, widen
from storage.tables.formats.options import checked_options
from storage.tables.formats.parquet import Footer, read_footers
from storage.tables.formats.text import infer_columns
from storage.tables.layout import Layout, check_values, partition_columns, read_layout
from storage.tables.manifests import Manifest, keep, merge, sort_files
from storage.tables.snapshots import TableFile
from storage.tables.statistics import group_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What was found at a location, for the catalog and for the first snapshot."""

    definition: Discovered
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a location at one moment, in ascending order of their addresses."""

    location: str  #: canonical
    files: tuple[ObjectInfo, ...]
    layout: Layout


def list_files(locations: Locations, text: str) -> Listing:
    """The files of the location ``text``; raises what ``Locations.files`` does."""
    location = locations.resolve(text)
    files = tuple(locations.files(text))
    base = replace(location, glob="").uri
    layout = read_layout(base, [file.key for file in files])
    return Listing(location=location.uri, files=files, layout=layout)


def discover(locations: Locations, command: CreateTable, *, snapshot_id: SnapshotId) -> Discovery:
    """Columns, partitions and files of an external table. No transaction may be open.

    Columns that ``command`` gives are taken as they are and checked against the files; else they
    come from the files. ``snapshot_id`` will be that of the first snapshot.
    """
    assert command.location is not None
    name = f"{command.database}.{command.name}"
    options = checked_options(command.format, command.options)
    listing = list_files(locations, command.location)
    if not listing.files and not command.columns:
        raise NoFilesError(
            f"there are no data files at {listing.location}",
            hint="check the path, or give the columns",
            location=listing.location,
        )
    given = {one.name.lower(): one for one in command.columns}
    partitions = _partitions(command, listing, given)
    check_values([file.key for file in listing.files], listing.layout, partitions)
    hidden = {one.name.lower() for one in partitions}
    footers = _footers(locations, command.format, listing.files)
    if command.columns:
        data = [one for one in command.columns if one.name.lower() not in hidden]
    elif command.format is TableFormat.PARQUET:
        data = [one for one in _merged(footers) if one.name.lower() not in hidden]
    else:
        found = infer_columns(command.format, locations.open, listing.files, dict(options))
        data = [one for one in found if one.name.lower() not in hidden]
    if not data:
        raise NoFilesError(
            f"the files at {listing.location} have no columns", hint="give the columns"
        )
    columns = checked_columns([*data, *partitions], of=name)
    names = tuple(one.name for one in partitions)
    columns = partitions_last(columns, names)
    data = [one for one in columns if one.name not in names]
    check_types(footers, data)
    definition = Discovered(
        location=listing.location,
        columns=columns,
        partitioned_by=names,
        options=options,
        snapshot_id=snapshot_id,
    )
    manifest = _manifest(command.format, listing, footers, data)
    return Discovery(definition=definition, manifest=manifest)


def rediscover(
    locations: Locations, table: TableDef, listing: Listing, before: Manifest
) -> Manifest:
    """The manifest of ``table`` over ``listing``; footers are read of new and changed files only.

    Raises ``FileTypeChangedError`` or ``PartitionLayoutError`` for files that do not fit the table.
    """
    assert table.format is not None
    data = [one for one in table.columns if one.name not in table.partitioned_by]
    partitions = [one for one in table.columns if one.name in table.partitioned_by]
    names = tuple(map(str.lower, listing.layout.names))
    if listing.files and names != tuple(map(str.lower, table.partitioned_by)):
        raise InvalidDefinitionError(
            f"{table.full_name} is partitioned by {', '.join(table.partitioned_by) or 'nothing'}, "
            f"its files by {', '.join(names) or 'nothing'}",
            hint="register the table again",
            table=table.full_name,
        )
    check_values([file.key for file in listing.files], listing.layout, partitions)
    known = {(file.uri, file.size, file.etag) for file in before.files}
    fresh = [file for file in listing.files if (file.key, file.size, file.etag) not in known]
    changed = {file.key for file in fresh}
    same = {file.key for file in listing.files} - changed
    footers = _footers(locations, table.format, fresh)
    check_types(footers, data)
    values = dict(zip((file.key for file in listing.files), listing.layout.values, strict=True))
    part = Listing(
        location=listing.location,
        files=tuple(fresh),
        layout=Layout(names=names, values=tuple(values[file.key] for file in fresh)),
    )
    added = _manifest(table.format, part, footers, data)
    return sort_files(merge([keep(before, same), added]))


def check_types(footers: Sequence[Footer], columns: Sequence[Column]) -> None:
    """Raise ``FileTypeChangedError`` where a file's column cannot be read as the table's.

    A column that a file does not have is NULL there, and one that only the file has is not seen.
    """
    for footer in footers:
        in_file = {one.name.lower(): one for one in footer.columns}
        for column in columns:
            found = in_file.get(column.name.lower())
            if found is None:
                continue
            if isinstance(found.type, UnknownTypeError):
                raise UnknownTypeError(
                    f"{footer.uri}: column {found.name!r}: {found.type.message}",
                    hint=found.type.hint,
                    file=footer.uri,
                    column_name=found.name,
                )
            if not readable_as(found.type, column.type):
                raise FileTypeChangedError(
                    f"{footer.uri}: the column {found.name!r} is {found.type}, "
                    f"which cannot be read as {column.type}",
                    hint="give the file or the column another type, or take the file away",
                    file=footer.uri,
                    column_name=found.name,
                )


def _partitions(
    command: CreateTable, listing: Listing, given: Mapping[str, Column]
) -> tuple[Column, ...]:
    """The partition columns, checked against PARTITIONED BY where that is written."""
    wanted = tuple(map(str.lower, command.partitioned_by))
    if not listing.files:
        missing = [name for name in wanted if name not in given]
        if missing:
            raise InvalidDefinitionError(
                f"the partition column {missing[0]!r} is not a column",
                hint=did_you_mean(similar(missing[0], given)),
            )
        return tuple(given[name] for name in wanted)
    found = tuple(map(str.lower, listing.layout.names))
    if wanted and wanted != found:
        raise InvalidDefinitionError(
            f"the files' folders are partitioned by {', '.join(found) or 'nothing'}, "
            f"not by {', '.join(wanted)}",
            hint="name the columns in the order of the folders",
        )
    return partition_columns(listing.layout, given)


def _footers(locations: Locations, kind: TableFormat, files: Sequence[ObjectInfo]) -> list[Footer]:
    return read_footers(locations.open, files) if kind is TableFormat.PARQUET else []


def _merged(footers: Sequence[Footer]) -> list[Column]:
    """The columns of all files in order of appearance, in types wide enough for all."""
    found: dict[str, Column] = {}
    for footer in footers:
        own: dict[str, str] = {}
        for one in footer.columns:
            other = own.setdefault(one.name.lower(), one.name)
            if other != one.name:
                raise InvalidDefinitionError(
                    f"{footer.uri}: the columns {other!r} and {one.name!r} differ in case only",
                    hint="names of columns have no case: write the file with other names",
                    file=footer.uri,
                )
            if isinstance(one.type, UnknownTypeError):
                raise UnknownTypeError(
                    f"{footer.uri}: column {one.name!r}: {one.type.message}",
                    hint=f"{one.type.hint}; or give the columns without it",
                    file=footer.uri,
                    column_name=one.name,
                )
            before = found.get(one.name.lower())
            if before is None:
                found[one.name.lower()] = Column(name=one.name, type=one.type)
                continue
            if before.type == one.type:
                continue
            kind = widen(before.type, one.type)
            if kind is None:
                raise FileTypeChangedError(
                    f"{footer.uri}: the column {one.name!r} is {one.type}, in other files "
                    f"{before.type}",
                    hint="write the files with one type, or register them apart",
                    file=footer.uri,
                    column_name=one.name,
                )
            found[one.name.lower()] = replace(before, type=kind)
    return [
        replace(column, type="string") if column.type == "void" else column
        for column in found.values()
    ]


def _manifest(
    kind: TableFormat, listing: Listing, footers: Sequence[Footer], data: Sequence[Column]
) -> Manifest:
    parquet = kind is TableFormat.PARQUET
    files = tuple(
        TableFile(
            uri=file.key,
            size=file.size,
            rows=footers[place].rows if parquet else None,
            etag=file.etag,
            partition=listing.layout.values[place],
        )
        for place, file in enumerate(listing.files)
    )
    return Manifest(files=files, groups=group_table(data, footers) if parquet else None)
