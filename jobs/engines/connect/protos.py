"""The messages of the Spark Connect protocol, as PySpark ships them, without PySpark.

Importing them the normal way runs PySpark's packages, which load pandas and cost a second and
100 MiB. Here Python meets empty packages in their place while the generated modules are imported;
afterwards the placeholders are gone again, so that whoever wants the real PySpark gets it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

_PACKAGES = ("pyspark", "pyspark.sql", "pyspark.sql.connect", "pyspark.sql.connect.proto")


def _load(*names: str) -> list[Any]:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ImportError("pyspark is not installed: the Spark Connect messages come from it")
    root = Path(spec.origin).parent
    placed = []
    for package in _PACKAGES:
        if package not in sys.modules:
            module = types.ModuleType(package)
            module.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
            sys.modules[package] = module
            placed.append(package)
    try:
        return [importlib.import_module(f"{_PACKAGES[-1]}.{name}") for name in names]
    finally:
        for package in placed:
            del sys.modules[package]


base, service, commands, expressions, relations, types_ = _load(
    "base_pb2", "base_pb2_grpc", "commands_pb2", "expressions_pb2", "relations_pb2", "types_pb2"
)
