"""How a task can be refused, and how it can end without success."""

from __future__ import annotations

from jobs.execution.runner import AttemptFailedError
from storage.base.errors import ForbiddenError, InvalidInputError, RefusedError


class CommandRefusedError(ForbiddenError):
    """The operator does not allow this command for tasks of the project, or allows none."""

    code = "command_refused"


class CommandMissingError(InvalidInputError):
    """A command that is to be allowed is not on this machine, or no program."""

    code = "command_not_found"


class ImageUnsupportedError(RefusedError):
    """A task with an image needs the Kubernetes launcher."""

    code = "image_unsupported"


class ImageRefusedError(ForbiddenError):
    """The operator does not allow this image for tasks, or allows none."""

    code = "image_refused"


class SandboxMissingError(RefusedError):
    """Tasks must run in a sandbox, and this machine has none that works."""

    code = "sandbox_missing"


class TaskFailedError(AttemptFailedError):
    """The command ended with an exit code that is not 0; ``exit_code`` is in the details."""

    code = "task_failed"


class TaskMemoryError(AttemptFailedError):
    """The command used more memory than it may; the next attempt gets twice as much."""

    code = "task_out_of_memory"


class TaskOutputError(AttemptFailedError):
    """The command wrote more than it may, or did not leave a file that it should."""

    code = "task_output"


class TaskLostError(AttemptFailedError):
    """The command ended for no doing of its own."""

    code = "task_lost"
