"""Databases and tables, over REST; the JSON is that of the API."""

from __future__ import annotations

from dli.remote.calls import Calls, Json, present


class CatalogCalls(Calls):
    """Of ``Client``."""

    def databases(self) -> list[Json]:
        return list(self._pages("/databases", {}))

    def create_database(self, name: str, **fields: object) -> Json:
        return self._create("/databases", {"name": name, **present(fields)})

    def drop_database(self, name: str, *, cascade: bool = False) -> None:
        self._ask("DELETE", f"/databases/{name}", query={"cascade": cascade})

    def tables(self, database: str) -> list[Json]:
        return list(self._pages(f"/databases/{database}/tables", {}))

    def register_table(self, name: str, location: str, **fields: object) -> Json:
        """Make files that lie somewhere a table ``database.table``; they stay where they are.

        ``fields``: ``format``, ``options``, ``partitioned_by``, ``columns``, ``comment``.
        """
        database, table = split_name(name)
        body = {"name": table, "location": location, **present(fields)}
        return self._create(f"/databases/{database}/tables", body)

    def table(self, name: str) -> Json:
        """Schema, files, snapshots and statistics of ``database.table``."""
        return self._json("GET", _table_path(name))

    def refresh_table(self, name: str) -> Json:
        """Look at the files of an external table again, now."""
        return self._json("POST", f"{_table_path(name)}/refresh")

    def drop_table(self, name: str) -> None:
        """Forget a table; the files of an external one stay."""
        self._ask("DELETE", _table_path(name))


def split_name(name: str) -> tuple[str, str]:
    """Database and table of ``sales.orders``; a bare name is in ``default``."""
    database, dot, table = name.rpartition(".")
    return (database, table) if dot else ("default", name)


def _table_path(name: str) -> str:
    database, table = split_name(name)
    return f"/databases/{database}/tables/{table}"
