"""Patterns of paths as people write them: ``*``, ``**``, ``?``, ``[a-c]``, ``{a,b}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAGIC = re.compile(r"[*?\[{]")


class GlobError(ValueError):
    """A bracket or a brace that is not closed."""


def split_glob(path: str) -> tuple[str, str]:
    """The folder before the first part with a pattern, and the rest: ``/a/b``, ``*/c.csv``.

    Without a pattern the rest is empty.
    """
    parts = path.split("/")
    for index, part in enumerate(parts):
        if MAGIC.search(part):
            return "/".join(parts[:index]), "/".join(parts[index:])
    return path, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A compiled pattern, for paths relative to the folder before it."""

    whole: re.Pattern[str]
    steps: tuple[re.Pattern[str], ...]  #: one a part of the path, as far as they stand alone

    def matches(self, path: str) -> bool:
        """Whether the pattern names ``path`` or a folder above it."""
        return self.whole.fullmatch(path) is not None

    def may_hold(self, folder: str) -> bool:
        """False only if nothing below ``folder`` can match."""
        return all(
            step.fullmatch(part) for step, part in zip(self.steps, folder.split("/"), strict=False)
        )


def compile_glob(pattern: str) -> Glob:
    """The pattern; ``*`` and ``?`` stay within one part of a path, ``**`` does not.

    Raises ``GlobError``.
    """
    whole = re.compile(_translate(pattern) + r"(?:/.*)?", re.DOTALL)
    steps = []
    for part in pattern.split("/"):
        if "**" in part or "{" in part or "[" in part:  # these may reach over a slash
            break
        steps.append(re.compile(_translate(part), re.DOTALL))
    return Glob(whole=whole, steps=tuple(steps))


def _translate(pattern: str) -> str:
    done, at, depth = "", 0, 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            if pattern.startswith("*/", at):
                done, at = done + r"(?:[^/]+/)*", at + 2
            elif pattern.startswith("*", at):
                done, at = done + ".*", at + 1
            else:
                done += "[^/]*"
        elif character == "?":
            done += "[^/]"
        elif character == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise GlobError(f"the [ is not closed in {pattern!r}")
            done, at = done + _one_of(pattern[at:end]), end + 1
        elif character == "{":
            done, depth = done + "(?:", depth + 1
        elif character == "}" and depth:
            done, depth = done + ")", depth - 1
        elif character == "," and depth:
            done += "|"
        else:
            done += re.escape(character)
    if depth:
        raise GlobError(f"the {{ is not closed in {pattern!r}")
    return done


def _one_of(members: str) -> str:
    """The inside of brackets; a range that runs backwards matches nothing, as in a shell."""
    negated = members[0] in "!^"
    ranges = re.findall(r"(.)-(.)|(.)", members[negated:], re.DOTALL)
    texts = [
        f"{re.escape(low)}-{re.escape(high)}" if low else re.escape(single)
        for low, high, single in ranges
        if not low or low <= high
    ]
    if not texts:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(texts)}]"
