"""Which images tasks may run: what the operator's patterns fit, where runs are containers."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jobs.tasks.errors import ImageRefusedError, ImageUnsupportedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """``patterns`` are compared with the name as it is given: ``*`` stands for any text, with ``/``
    and ``:``. None: no images. ``possible``: whether runs are containers here."""

    patterns: tuple[str, ...] = ()
    possible: bool = False

    def __bool__(self) -> bool:
        return self.possible and bool(self.patterns)

    def check(self, image: str) -> None:
        """Raises ``ImageUnsupportedError`` and ``ImageRefusedError``."""
        if not self.possible:
            raise ImageUnsupportedError(
                "a task with an image needs the kubernetes launcher, this service has the local"
                " one",
                hint="leave out the image, and give a command that the operator allows",
            )
        if any(fnmatchcase(image, pattern) for pattern in self.patterns):
            return
        if not self.patterns:
            raise ImageRefusedError(
                "this service runs no images",
                hint="an operator allows images with the setting task_images",
            )
        near = difflib.get_close_matches(image, self.patterns, n=1)
        allowed = ", ".join(self.patterns)
        hint = f"did you mean {near[0]}?" if near else f"allowed are: {allowed}"
        raise ImageRefusedError(f"the image {image!r} is not allowed", hint=hint)
