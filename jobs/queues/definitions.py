"""What a queue is: where jobs wait, and what they may use. Values and their validation only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.lifecycle.spec import EngineName
from sql.guard.runner import RULES
from storage.base.errors import BusyError, ConflictError, InvalidInputError, NotFoundError
from storage.base.ids import ProjectId

DEFAULT_QUEUE = "default"
GUARD_LEVELS = ("off", "warn", "refuse")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class QueueInvalidError(InvalidInputError):
    """A queue's definition has a value that it cannot have."""

    code = "queue_invalid"


class QueueMissingError(NotFoundError):
    """There is no queue of that name in the project."""

    code = "queue_not_found"


class QueueExistsError(ConflictError):
    """The project has a queue of that name already."""

    code = "queue_exists"


class QueueInUseError(ConflictError):
    """The queue has jobs that are not at their end, or is the default one."""

    code = "queue_in_use"


class QueueChangedError(ConflictError):
    """Somebody else changed the queue since it was read."""

    code = "queue_changed"
    retryable = True


class QueueFullError(BusyError):
    """As many jobs wait in the queue as it allows."""

    code = "queue_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDef:
    """One queue at one version. None means: no limit of the queue's own."""

    project_id: ProjectId
    name: str
    default_engine: EngineName = EngineName.SAIL
    max_running: int = 16  #: statements that compute at the same time
    max_waiting: int = 1000  #: one more is refused with ``QueueFullError``
    max_cu: int | None = None  #: compute units of the engines in use at the same time
    timeout: timedelta = timedelta(hours=1)  #: for statements that name none, and the most
    guard_levels: Mapping[str, str] = field(default_factory=dict)  #: rule -> off, warn, refuse
    max_bytes: int | None = None  #: processed bytes of one statement
    max_cost: int | None = None  #: nanos of one statement
    price_class: str = "standard"
    version: int = 1


def validated(queue: QueueDef) -> QueueDef:
    """``queue`` itself; raises ``QueueInvalidError`` with the name of the field that is wrong."""
    if not _NAME.fullmatch(queue.name):
        raise QueueInvalidError(
            f"{queue.name!r} cannot name a queue",
            hint="start with a letter; then letters, digits, - and _, at most 63, in lower case",
            field="name",
        )
    least = {"max_running": (queue.max_running, 1), "max_waiting": (queue.max_waiting, 0)}
    optional = {"max_cu": queue.max_cu, "max_bytes": queue.max_bytes, "max_cost": queue.max_cost}
    least |= {name: (value, 0) for name, value in optional.items() if value is not None}
    for name, (value, low) in least.items():
        if not low <= value < 2**63:
            raise QueueInvalidError(f"{name} is {value}, must be at least {low}", field=name)
    if queue.max_cu == 0:
        raise QueueInvalidError("max_cu is 0: nothing could ever run", field="max_cu")
    if not timedelta(seconds=1) <= queue.timeout <= timedelta(days=7):
        raise QueueInvalidError("timeout must be from 1s to 7d", field="timeout")
    rules = [rule.code for rule in RULES]
    for rule, level in queue.guard_levels.items():
        if rule not in rules:
            near = difflib.get_close_matches(rule, rules, n=1)
            raise QueueInvalidError(
                f"there is no guard rule {rule!r}",
                hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(rules)}",
                field="guard_levels",
            )
        if level not in GUARD_LEVELS:
            raise QueueInvalidError(
                f"guard level of {rule} is {level!r}",
                hint=f"one of {', '.join(GUARD_LEVELS)}",
                field="guard_levels",
            )
    return queue
