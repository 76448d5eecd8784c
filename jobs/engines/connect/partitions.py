"""What the folders of a partitioned table say."""

from __future__ import annotations

from urllib.parse import unquote

from sql.statement import Binding

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


def common_base(binding: Binding) -> str | None:
    """The folder above the partition folders, if these say for each file what our list says."""
    depth = len(binding.partitioned_by)
    base: str | None = None
    for file in binding.files:
        parts = file.uri.rsplit("/", depth + 1)
        if len(parts) != depth + 2 or base not in (None, parts[0]):
            return None
        base = parts[0]
        for name, value, folder in zip(
            binding.partitioned_by, file.partition, parts[1:-1], strict=True
        ):
            key, equals, text = folder.partition("=")
            # Spark takes each %XX for a character of its own, whatever the encoding was.
            told = None if text == _NULL_FOLDER else unquote(text, encoding="latin-1")
            if key != name or not equals or not text or told != value:
                return None
    return base
