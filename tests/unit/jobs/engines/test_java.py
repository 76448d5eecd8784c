from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.engines.class_archive import ClassArchive
from jobs.engines.errors import EngineStartError
from jobs.engines.java import Java, find_java, fingerprint, spark_jars


def fake_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return home


def test_packaged_java_is_found() -> None:
    java = find_java(None)
    assert java.major == 21
    assert java.program.name == "java"


def test_named_home_comes_first(tmp_path: Path) -> None:
    assert find_java(fake_java(tmp_path, "17.0.1")).major == 17


def test_old_java_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineStartError, match="Java 11; Spark needs 17"):
        find_java(fake_java(tmp_path, "11.0.2"))


def test_home_without_java_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineStartError, match="no Java at") as caught:
        find_java(tmp_path)
    assert caught.value.hint is not None


def test_jars_are_in_a_fixed_order() -> None:
    jars = spark_jars()
    assert jars[0].name.startswith("slf4j-api")
    assert list(jars[1:]) == sorted(jars[1:])


def archive(tmp_path: Path, *, text: str = "21") -> ClassArchive:
    jar = tmp_path / "a.jar"
    jar.touch()
    java = Java(program=Path("/bin/true"), major=21, text=text)
    return ClassArchive(tmp_path / "cache", java, [jar])


def test_archive_is_used_only_when_it_is_whole(tmp_path: Path) -> None:
    made = archive(tmp_path)
    assert made.flags() == ("-Xshare:auto",)
    (tmp_path / "cache").mkdir()
    draft = tmp_path / "cache" / "draft"
    assert not made.keep(draft)
    draft.write_text("classes")
    assert made.keep(draft)
    assert not made.ready
    assert "-XX:SharedArchiveFile=" not in str(made.flags())


def test_archive_changes_with_java_and_jars(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.touch()
    first = Java(program=Path("/bin/true"), major=21, text="21.0.1")
    before = fingerprint(first, [jar])
    assert fingerprint(first, [jar]) == before
    assert fingerprint(Java(program=first.program, major=21, text="21.0.2"), [jar]) != before
    os.utime(jar, ns=(1, 1))
    assert fingerprint(first, [jar]) != before
