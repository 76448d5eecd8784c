"""What a queue is: where jobs wait, and what they may use. Values and their validation only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.pods import DEFAULT_PODS, QueuePods, checked_pods
from jobs.usage import QueueBudget
from sql.guard.limits import RULE_CODES
from storage.base.errors import (
    BusyError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
)
from storage.base.ids import ProjectId, UserId

DEFAULT_QUEUE = "default"
GUARD_LEVELS = ("off", "warn", "refuse")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,128}")
_MOST_PATTERNS = 100
_MOST_PRIORITY = 100  #: a step is worth ten minutes, so this is most of a day
_MOST_WEIGHT = 1000
_MOST_USERS = 1000  #: with a weight of their own
_MOST_OVERCOMMIT = 1000

#: What a batch may set unless its queue says otherwise: how its SQL is planned, nothing about where
#: it runs or what it may reach.
CONF_ALLOWED = (
    "spark.sql.*",
    "spark.default.parallelism",
    "spark.memory.*",
    "spark.serializer",
    "spark.kryo*",
    "spark.shuffle.*",
    "spark.reducer.*",
    "spark.broadcast.*",
    "spark.rdd.*",
    "spark.io.*",
    "spark.files.*",
    "spark.task.*",
    "spark.speculation*",
    "spark.locality.*",
    "spark.scheduler.mode",
    "spark.driver.maxResultSize",
    "spark.python.worker.*",
    "spark.log.level",
    "spark.hadoop.parquet.*",
    "spark.hadoop.mapreduce.*",
)


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


class QueueClosedError(ConflictError):
    """The queue is being drained, or is closed, and takes no new jobs."""

    code = "queue_closed"


class QueueRefusesError(RefusedError):
    """The queue never runs such a job: its kind, engine, priority or size; see ``field``."""

    code = "queue_refuses"


class QueueState(StrEnum):
    """What a queue does with jobs; those that run go on to their end in every state."""

    OPEN = "open"  #: takes jobs and starts them
    DRAINING = "draining"  #: takes no new ones; those that wait still start
    CLOSED = "closed"  #: takes none and starts none; those that wait are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDef:
    """One queue at one version. None means: no limit of the queue's own.

    A priority is a head start: each step goes before what was submitted ten minutes earlier.
    """

    project_id: ProjectId
    name: str
    default_engine: EngineName = EngineName.SAIL
    max_running: int = 16  #: jobs that compute at the same time
    max_waiting: int = 1000  #: one more is refused with ``QueueFullError``
    max_cu: int | None = None  #: compute units in use: each engine once, batches and tasks by size
    timeout: timedelta = timedelta(hours=1)  #: for jobs that name none
    guard_levels: Mapping[str, str] = field(default_factory=dict)  #: rule -> off, warn, refuse
    max_bytes: int | None = None  #: processed bytes of one statement
    max_cost: int | None = None  #: nanos of one job
    price_class: str = "standard"
    version: int = 1
    state: QueueState = QueueState.OPEN
    kinds: frozenset[JobKind] = frozenset(JobKind)  #: that may be submitted
    engines: frozenset[EngineName] = frozenset(EngineName)  #: that statements may ask for
    conf_allowed: tuple[str, ...] = CONF_ALLOWED  #: patterns of Spark settings of batches
    min_cu: int = 0  #: compute units of its default engine that are kept warm
    max_running_per_user: int | None = None
    min_priority: int = -10
    max_priority: int = 10
    default_priority: int = 0
    max_timeout: timedelta | None = None  #: that a job may ask for; None: ``timeout``
    overcommit: int = 100  #: per cent of what a job reserves that it may use: 200 reserves half
    weight: int = 1  #: of its share when not all can run; a project has that of its highest queue
    monthly_budget: int | None = None  #: nanos that its jobs may cost in a UTC month
    #: Users who get more of the queue than others when not all can run; 1 for those not named.
    user_weights: Mapping[UserId, int] = field(default_factory=dict)
    pods: QueuePods = DEFAULT_PODS

    @property
    def longest(self) -> timedelta:
        """The most time that a job may ask for."""
        return self.timeout if self.max_timeout is None else self.max_timeout

    @property
    def budget(self) -> QueueBudget | None:
        """What its jobs may cost in a month, if it says so."""
        most = self.monthly_budget
        return None if most is None else QueueBudget(queue=self.name, monthly=most)

    def reserved(self, limit: int) -> int:
        """What is reserved for a limit of thousandths of cores or of bytes, rounded up."""
        return -(-limit * 100 // self.overcommit)

    def allows_conf(self, key: str) -> bool:
        """Whether a batch may set this setting of Spark."""
        return any(fnmatchcase(key, pattern) for pattern in self.conf_allowed)


def validated(queue: QueueDef) -> QueueDef:
    """``queue`` itself; raises ``QueueInvalidError`` with the name of the field that is wrong.

    Of what it says of pods ``QueuePodsInvalidError``.
    """
    if not _NAME.fullmatch(queue.name):
        raise QueueInvalidError(
            f"{queue.name!r} cannot name a queue",
            hint="start with a letter; then letters, digits, - and _, at most 63, in lower case",
            field="name",
        )
    least = {"max_running": (queue.max_running, 1), "max_waiting": (queue.max_waiting, 0)}
    least |= {"weight": (queue.weight, 1), "overcommit": (queue.overcommit, 100)}
    least |= {"min_cu": (queue.min_cu, 0)}
    optional = {
        "max_cu": (queue.max_cu, 1),
        "max_bytes": (queue.max_bytes, 0),
        "max_cost": (queue.max_cost, 0),
        "max_running_per_user": (queue.max_running_per_user, 1),
        "monthly_budget": (queue.monthly_budget, 0),
    }
    least |= {name: (value, low) for name, (value, low) in optional.items() if value is not None}
    for name, (value, low) in least.items():
        if not low <= value <= _MOST.get(name, 2**63 - 1):
            bound = f"from {low} to {_MOST[name]}" if name in _MOST else f"at least {low}"
            raise QueueInvalidError(f"{name} is {value}, must be {bound}", field=name)
    _check_times(queue)
    _check_priorities(queue)
    _check_choices(queue)
    _check_guard(queue)
    _check_users(queue)
    checked_pods(queue.pods)
    return queue


_MOST = {"weight": _MOST_WEIGHT, "overcommit": _MOST_OVERCOMMIT, "max_running": 2**31 - 1,
         "max_waiting": 2**31 - 1, "max_cu": 2**31 - 1, "min_cu": 2**31 - 1,
         "max_running_per_user": 2**31 - 1}  # fmt: skip


def _check_times(queue: QueueDef) -> None:
    least, most = timedelta(seconds=1), timedelta(days=7)
    if not least <= queue.timeout <= most:
        raise QueueInvalidError("timeout must be from 1s to 7d", field="timeout")
    if queue.max_timeout is not None and not queue.timeout <= queue.max_timeout <= most:
        raise QueueInvalidError("max_timeout must be from timeout to 7d", field="max_timeout")


def _check_priorities(queue: QueueDef) -> None:
    for name in ("min_priority", "max_priority", "default_priority"):
        value = getattr(queue, name)
        if not -_MOST_PRIORITY <= value <= _MOST_PRIORITY:
            raise QueueInvalidError(f"{name} must be from -100 to 100", field=name)
    if not queue.min_priority <= queue.default_priority <= queue.max_priority:
        raise QueueInvalidError(
            "default_priority must be from min_priority to max_priority", field="default_priority"
        )


def _check_choices(queue: QueueDef) -> None:
    if not queue.kinds:
        raise QueueInvalidError("kinds is empty: nothing could be submitted", field="kinds")
    if queue.default_engine not in queue.engines:
        raise QueueInvalidError(
            f"default_engine {queue.default_engine.value} is not among engines", field="engines"
        )
    if queue.min_cu and queue.max_cu is not None and queue.min_cu > queue.max_cu:
        raise QueueInvalidError("min_cu is above max_cu", field="min_cu")
    if len(queue.conf_allowed) > _MOST_PATTERNS:
        raise QueueInvalidError("conf_allowed has more than 100 patterns", field="conf_allowed")
    for pattern in queue.conf_allowed:
        if not _PATTERN.fullmatch(pattern):
            raise QueueInvalidError(
                f"{pattern!r} is no pattern of settings",
                hint="a setting of Spark, with * for any characters, such as spark.sql.*",
                field="conf_allowed",
            )


def _check_guard(queue: QueueDef) -> None:
    for rule, level in queue.guard_levels.items():
        if rule not in RULE_CODES:
            near = difflib.get_close_matches(rule, RULE_CODES, n=1)
            raise QueueInvalidError(
                f"there is no guard rule {rule!r}",
                hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(RULE_CODES)}",
                field="guard_levels",
            )
        if level not in GUARD_LEVELS:
            raise QueueInvalidError(
                f"guard level of {rule} is {level!r}",
                hint=f"one of {', '.join(GUARD_LEVELS)}",
                field="guard_levels",
            )


def _check_users(queue: QueueDef) -> None:
    if len(queue.user_weights) > _MOST_USERS:
        raise QueueInvalidError(
            f"user_weights has more than {_MOST_USERS} users", field="user_weights"
        )
    for user_id, weight in queue.user_weights.items():
        if not 1 <= weight <= _MOST_WEIGHT:
            raise QueueInvalidError(
                f"the weight of {user_id} is {weight}, must be from 1 to {_MOST_WEIGHT}",
                field="user_weights",
            )
