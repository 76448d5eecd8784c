"""What the one who plans can be told."""

from __future__ import annotations

from storage.base.errors import ConflictError, InvalidInputError, NotFoundError


class ScheduleInvalidError(InvalidInputError):
    """A schedule has a value that it cannot have; ``field`` is in the details."""

    code = "schedule_invalid"


class ScheduleMissingError(NotFoundError):
    """There is no schedule of that name in the project."""

    code = "schedule_not_found"


class ScheduleExistsError(ConflictError):
    """The project has a schedule of that name already."""

    code = "schedule_exists"


class ScheduleChangedError(ConflictError):
    """Somebody else changed the schedule since it was read."""

    code = "schedule_changed"
    retryable = True
