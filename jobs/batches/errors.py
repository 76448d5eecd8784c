"""How a batch can fail by what its program did, or by what was done to it."""

from __future__ import annotations

from jobs.batches.exits import ExitKind
from jobs.execution.runner import AttemptFailedError


class ProgramFailedError(AttemptFailedError):
    """The program ended with an exit code that is not 0; ``exit_code`` is in the details."""

    code = "program_failed"


class ProgramMemoryError(AttemptFailedError):
    """The program needs more memory than its size has; the next attempt gets the next size."""

    code = "out_of_memory"


class ProgramKilledError(AttemptFailedError):
    """Somebody else than the service killed the program."""

    code = "killed"


class BatchOutputError(AttemptFailedError):
    """The program did not leave a file that it should, or told of itself what cannot be read."""

    code = "batch_output"


class PlatformFaultError(AttemptFailedError):
    """The program ended for no doing of its own: no Java, no disk, no machine."""

    code = "platform_fault"


ERRORS: dict[ExitKind, type[AttemptFailedError]] = {
    ExitKind.PROGRAM_FAILED: ProgramFailedError,
    ExitKind.OUT_OF_MEMORY: ProgramMemoryError,
    ExitKind.KILLED: ProgramKilledError,
    ExitKind.PLATFORM_FAULT: PlatformFaultError,
}
