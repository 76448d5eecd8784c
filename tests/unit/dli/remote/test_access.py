from __future__ import annotations

from pathlib import Path

import pytest

from dli.remote.access import DEFAULT_URL, AccessError, resolve


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"DLI_HOME": str(tmp_path), "DLI_CONFIG": str(tmp_path / "config.toml"), **more}


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_nothing_given_is_the_local_service_without_token(tmp_path: Path) -> None:
    access = resolve(environment(tmp_path))
    assert (access.url, access.token) == (DEFAULT_URL, None)


def test_argument_beats_environment_beats_file(tmp_path: Path) -> None:
    private(tmp_path / "config.toml", 'url = "http://file"\ntoken = "from file"\n')
    assert resolve(environment(tmp_path)).token == "from file"
    with_env = environment(tmp_path, DLI_TOKEN="from env", DLI_URL="http://env/")
    assert (resolve(with_env).url, resolve(with_env).token) == ("http://env", "from env")
    assert resolve(with_env, url="http://arg", token="arg").token == "arg"


def test_home_token_serves_the_local_service(tmp_path: Path) -> None:
    private(tmp_path / "token", "dli_home\n")
    (tmp_path / "url").write_text("http://127.0.0.1:8500\n")
    access = resolve(environment(tmp_path))
    assert (access.url, access.token) == ("http://127.0.0.1:8500", "dli_home")


def test_home_token_is_not_sent_elsewhere(tmp_path: Path) -> None:
    private(tmp_path / "token", "dli_home\n")
    assert resolve(environment(tmp_path, DLI_URL="https://example.com")).token is None


@pytest.mark.parametrize("name", ["token", "config.toml"])
def test_file_that_others_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('token = "x"')
    (tmp_path / name).chmod(0o640)
    with pytest.raises(AccessError, match="chmod 600"):
        resolve(environment(tmp_path))


def test_unknown_key_of_the_file_is_named(tmp_path: Path) -> None:
    private(tmp_path / "config.toml", 'tokn = "x"')
    with pytest.raises(AccessError, match="tokn"):
        resolve(environment(tmp_path))


def test_token_is_not_in_the_repr(tmp_path: Path) -> None:
    assert "hidden" not in repr(resolve(environment(tmp_path), token="hidden"))
