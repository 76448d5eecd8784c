"""Tours of pages, played for real: ``python -m benchmarks.tour [PAGE]`` writes their output.

Between the marks of a page a line that starts with ``$`` is a command; what follows is what it
printed. A test plays the same commands and compares, numbers and ids aside.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service import DLI, running_service
from benchmarks.tpch import generate

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
_TOUR = re.compile(r"(?<=<!-- tour -->\n).*?(?=<!-- /tour -->)", re.S)
_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command as one types it, and what came."""

    command: str
    output: str


def steps_of(page: str) -> list[Step]:
    """The commands of a page's tour with the output that is written there."""
    match = _TOUR.search(page)
    assert match is not None
    return [step for block in _BLOCK.findall(match[0]) for step in _steps(block)]


def play(commands: Sequence[str], folder: Path) -> Iterator[Step]:
    """Run the commands in turn by a shell, in the repository, against a service of their own."""
    data = generate("0.1")
    home = folder / "home"
    home.mkdir()
    with running_service(home, allow=[data.parent]) as service:
        path = f"{DLI.parent}:/usr/local/bin:/usr/bin:/bin"
        environment = service.environment() | {"PATH": path, "TERM": "dumb"}
        for command in commands:
            done = subprocess.run(
                ["/bin/bash", "-c", command],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=False,
            )
            lines = [line.rstrip() for line in done.stdout.splitlines()]
            yield Step(command=command, output="".join(f"{line}\n" for line in lines))


def comparable(text: str) -> str:
    """The text without what differs from run to run: numbers, ids, and the room they take."""
    text = re.sub(r"\b(stm|bat|tsk|plr)_\w+", r"\1_…", text)
    text = re.sub(r"\d[\d.,]*", "N", text)
    return re.sub(r"[ ─]+", " ", text)


def rewritten(page: str, played: Sequence[Step]) -> str:
    """The page with the output of these steps in the place of the old one."""
    steps = iter(played)

    def block(match: re.Match[str]) -> str:
        found = [next(steps) for _ in _steps(match[0])]
        return "\n".join(f"$ {step.command}\n{step.output}" for step in found)

    return _TOUR.sub(lambda tour: _BLOCK.sub(block, tour[0]), page)


def _steps(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        # A command goes on as long as its lines end with a backslash or a quote is open.
        lines = part.splitlines(keepends=True)
        count = 1
        while lines[count - 1].rstrip().endswith("\\") or "".join(lines[:count]).count('"') % 2:
            count += 1
        output = "".join(lines[count:]).rstrip("\n")
        yield Step(
            command="".join(lines[:count]).rstrip("\n"), output=f"{output}\n" if output else ""
        )


def main() -> None:
    """Play the tour of a page, the README if none is named, and write it there."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else README
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="dli-tour-") as folder:
        played = list(play([step.command for step in steps_of(page)], Path(folder)))
    path.write_text(rewritten(page, played), encoding="utf-8")


if __name__ == "__main__":
    main()
