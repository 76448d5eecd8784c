from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.tasks.errors import SandboxMissingError
from jobs.tasks.sandbox import INSIDE, Sandbox, SandboxMode, find_sandbox

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")


def run(sandbox: Sandbox, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    for name in ("files", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    wrapped = sandbox.wrap(command, files=folder / "files", scratch=folder / "tmp")
    return subprocess.run(wrapped, capture_output=True, text=True, check=False, env={"A": "b"})


def test_without_a_sandbox_the_command_is_itself(tmp_path: Path) -> None:
    plain = find_sandbox(SandboxMode.OFF, ())
    assert plain.wrap(("/bin/cat", "x"), files=tmp_path, scratch=tmp_path) == ("/bin/cat", "x")
    assert plain.name == "limits"
    assert plain.places(files=tmp_path, scratch=tmp_path)["HOME"] == str(tmp_path)


@pytest.mark.parametrize("broken", [None, "#!/bin/sh\necho no namespaces >&2; exit 1\n"])
def test_a_sandbox_that_does_not_work_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str | None
) -> None:
    if broken is not None:
        (tmp_path / "bwrap").write_text(broken)
        (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_sandbox(SandboxMode.AUTO, ()).program is None
    with pytest.raises(SandboxMissingError, match="no namespaces" if broken else "not installed"):
        find_sandbox(SandboxMode.REQUIRE, ())


@needs_bwrap
def test_command_sees_its_folder_and_the_system(tmp_path: Path) -> None:
    sandbox = find_sandbox(SandboxMode.REQUIRE, ())
    done = run(sandbox, tmp_path, "/bin/sh", "-c", "echo made > f; pwd; id -u; ls /; echo $A")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files" / "f").read_text() == "made\n"
    lines = done.stdout.split()
    assert lines[:2] == [INSIDE, "1000"]
    system = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "usr"}
    assert set(lines[2:-1]) <= system | {"task", "tmp"}
    assert lines[-1] == "b"


@needs_bwrap
def test_command_can_write_only_in_its_folders(tmp_path: Path) -> None:
    sandbox = find_sandbox(SandboxMode.REQUIRE, ())
    for place in ("/x", "/usr/x", "/etc/x", "/dev/x", "/proc/sys/kernel/hostname"):
        done = run(sandbox, tmp_path, "/bin/sh", "-c", f"echo x > {place}")
        assert done.returncode != 0, place
    for place in (f"{INSIDE}/x", "/tmp/x", "/dev/shm/x"):
        done = run(sandbox, tmp_path, "/bin/sh", "-c", f"echo x > {place}")
        assert done.returncode == 0, (place, done.stderr)
    assert sorted(os.listdir(tmp_path / "tmp")) == ["x"]


@needs_bwrap
def test_command_sees_no_other_process_and_no_secret_file(tmp_path: Path) -> None:
    sandbox = find_sandbox(SandboxMode.REQUIRE, ())
    (tmp_path / "secret").write_text("hush")
    script = f"ls /proc | grep -c '^[0-9]'; cat {tmp_path}/secret; cat /etc/shadow"
    done = run(sandbox, tmp_path, "/bin/sh", "-c", script)
    assert int(done.stdout) < 10
    assert done.stderr.count("No such file") == 2


@needs_bwrap
def test_more_folders_can_be_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "hello").write_text("#!/bin/sh\necho hello; echo x > $0\n")
    (tmp_path / "tools" / "hello").chmod(0o755)
    sandbox = find_sandbox(SandboxMode.REQUIRE, (tmp_path / "tools",))
    done = run(sandbox, tmp_path, "/bin/sh", str(tmp_path / "tools" / "hello"))
    assert done.stdout == "hello\n"
    assert "Read-only file system" in done.stderr
    alone = run(find_sandbox(SandboxMode.REQUIRE, ()), tmp_path, str(tmp_path / "tools" / "hello"))
    assert alone.stdout == "hello\n"


@needs_bwrap
def test_exit_code_is_the_commands(tmp_path: Path) -> None:
    sandbox = find_sandbox(SandboxMode.REQUIRE, ())
    assert run(sandbox, tmp_path, "/bin/sh", "-c", "exit 7").returncode == 7
    assert run(sandbox, tmp_path, "/bin/sh", "-c", "kill -9 $$").returncode == 128 + 9
