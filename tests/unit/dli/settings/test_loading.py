"""Settings come from arguments, environment and file, in this order, and errors name them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from dli.settings.loading import GROUPS, InvalidSettingError, Settings, load


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DLI_{name.upper()}", raising=False)
    monkeypatch.setenv("DLI_HOME", str(tmp_path))


def test_arguments_go_before_environment_before_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dli.toml").write_text('port = 1\nhost = "::1"\nworkers = 5\n')
    monkeypatch.setenv("DLI_PORT", "2")
    monkeypatch.setenv("DLI_WORKERS", "6")
    settings = load(port=3)
    assert (settings.port, settings.workers, settings.host) == (3, 6, "::1")


def test_sizes_spans_and_lists_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLI_MAX_BODY", "2MiB")
    monkeypatch.setenv("DLI_GRACE", "1500ms")
    monkeypatch.setenv("DLI_ALLOW_PATHS", "/data:/more")
    monkeypatch.setenv("DLI_BUCKETS", "one, two")
    settings = load()
    assert settings.max_body == 2**21
    assert settings.grace == timedelta(milliseconds=1500)
    assert settings.allow_paths == (Path("/data"), Path("/more"))
    assert settings.buckets == ("one", "two")


def test_lists_are_lists_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "dli.toml").write_text('buckets = ["one"]\nallow_paths = ["/data"]\n')
    assert load().buckets == ("one",)
    assert load().allow_paths == (Path("/data"),)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "99999", "less than or equal to 65535"),
        ("GRACE", "soon", "not a span"),
        ("MAX_BODY", "much", "not a size"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
    ],
)
def test_a_wrong_value_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"DLI_{name}", value)
    with pytest.raises(InvalidSettingError, match=f"DLI_{name}.*{reason}"):
        load()


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dli.toml").write_text("prot = 1\n")
    with pytest.raises(InvalidSettingError, match="'prot', which is no setting"):
        load()


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "dli.toml").write_text("port = = 1")
    with pytest.raises(InvalidSettingError, match="cannot be read"):
        load()


def test_secrets_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY", "ADMIN_TOKEN", "METRICS_TOKEN"):
        monkeypatch.setenv(f"DLI_{name}", "very-secret-very-secret-1")
    monkeypatch.setenv("DLI_DATABASE_URL", "postgresql://u:very-secret@h/d")
    settings = load()
    assert "very-secret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_refused_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLI_ADMIN_TOKEN", "too-short")
    with pytest.raises(InvalidSettingError) as caught:
        load()
    assert "too-short" not in caught.value.message


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_has_prose(group: type[BaseModel]) -> None:
    assert group.__doc__
    for name, field in group.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_groups_are_all_of_it() -> None:
    assert {name for group in GROUPS for name in group.model_fields} == set(Settings.model_fields)
