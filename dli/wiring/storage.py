"""What is below jobs: the metadata database, the warehouse, tables and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dli.settings.loading import FILE, InvalidSettingError, Settings
from storage.base.clock import Clock
from storage.catalog.catalog import Catalog
from storage.meta.database import Database
from storage.objects.api import ObjectMissingError, ObjectStore
from storage.objects.buckets import S3Settings, bucket_store
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from storage.results.results import Results
from storage.tables.tables import Tables

_SCHEME = "s3://"

#: What of the home is the service's own and can never be registered as a table.
_OWN_FILES = (FILE, "token", "replica", "url", "lock", "meta.db", "meta.db-wal", "meta.db-shm")
_OWN_FOLDERS = ("warehouse", "engines", "uploads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All of it."""

    clock: Clock
    database: Database
    warehouse: ObjectStore
    locations: Locations
    catalog: Catalog
    tables: Tables
    results: Results


def open_storage(settings: Settings, clock: Clock) -> Stored:
    """Nothing is asked of the database or a store yet."""
    home = settings.folder
    database = Database(settings.metadata_url)
    s3 = s3_of(settings)
    warehouse = _warehouse(settings, s3)
    private = [*(home / name for name in (*_OWN_FILES, *_OWN_FOLDERS))]
    if database.dialect == "sqlite":
        file = Path(str(database.url.database))
        private += [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm")]
    locations = Locations(
        folders=(home, *settings.allow_paths),
        s3=s3,
        buckets=settings.buckets,
        private=(_root(warehouse), *(f"file://{path.resolve()}" for path in private)),
    )
    catalog = Catalog(clock)
    return Stored(
        clock=clock,
        database=database,
        warehouse=warehouse,
        locations=locations,
        catalog=catalog,
        tables=Tables(database, catalog, locations, warehouse, clock),
        results=Results(database, warehouse, clock),
    )


def s3_of(settings: Settings) -> S3Settings | None:
    """How the S3 service is reached; None where none is named."""
    if settings.s3_endpoint is None:
        if settings.buckets or (settings.warehouse or "").startswith(_SCHEME):
            raise InvalidSettingError(
                "buckets are named, but no S3 service", hint="set s3_endpoint (DLI_S3_ENDPOINT)"
            )
        return None
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if access is None or secret is None:
        raise InvalidSettingError("s3_endpoint needs s3_access_key and s3_secret_key")
    return S3Settings(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=access.get_secret_value(),
        secret_key=secret.get_secret_value(),
        secure=settings.s3_secure,
    )


def presence_in(stored: Stored) -> Callable[[str], bool]:
    """Whether an object that a statement is to read is there: ours, or somebody's bucket."""
    own = _root(stored.warehouse) + "/"

    def present(uri: str) -> bool:
        try:
            if uri.startswith(own):
                stored.warehouse.stat(uri.removeprefix(own))
            else:
                stored.locations.stat(uri)
        except ObjectMissingError:
            return False
        return True

    return present


def _warehouse(settings: Settings, s3: S3Settings | None) -> ObjectStore:
    place = settings.warehouse
    if place is None:
        return FolderStore(settings.folder / "warehouse")
    if place.startswith(_SCHEME) and s3 is not None:
        bucket, _, prefix = place.removeprefix(_SCHEME).partition("/")
        prefix = prefix.strip("/")
        return bucket_store(bucket, f"{prefix}/" if prefix else "", s3)
    path = Path(place.removeprefix("file://"))
    if not path.is_absolute():
        raise InvalidSettingError(
            f"warehouse {place!r} is neither an absolute folder nor s3://bucket/prefix"
        )
    return FolderStore(path)


def _root(store: ObjectStore) -> str:
    """The address of everything in a store, without a slash at the end."""
    return store.uri("x").removesuffix("/x")
