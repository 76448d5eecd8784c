"""What the error that ended a command is told as, and its exit code."""

from __future__ import annotations

import sys

import typer

from dli.cli.complaints import Exit, exit_of, print_error, print_problem
from dli.cli.session import UsageError, console
from dli.remote.access import AccessError
from dli.remote.problems import ApiError, RemoteError, UnreachableError
from storage.base.errors import InvalidInputError, ServiceError


def told(error: BaseException) -> int:
    """Print the error and give its exit code; one that nobody expected is raised again."""
    err = console(error=True)
    match error:
        case UsageError() | AccessError():
            print_error(err, str(error))
            return Exit.USAGE
        case ApiError():
            print_problem(err, error.problem)
            return exit_of(error)
        case UnreachableError():
            print_error(err, str(error), hint="is the service up? `dli up` starts one here")
            return Exit.FAILED
        case RemoteError():
            print_error(err, str(error))
            return Exit.FAILED
        case ServiceError():  # of a service that we start: a setting that cannot be
            print_error(err, error.message, hint=error.hint)
            return Exit.USAGE if isinstance(error, InvalidInputError) else Exit.FAILED
        case KeyboardInterrupt() | typer.Abort():
            print_error(err, "interrupted")
            return Exit.CANCELLED
        case typer.TyperException():
            if show := getattr(error, "show", None):  # the parser's own errors know the usage line
                show()
            else:
                print_error(err, error.format_message())
            return error.exit_code
        case BrokenPipeError():
            # The reader of our output has seen enough, as `| head` does.
            sys.stderr.close()
            return Exit.DONE
        case OSError(filename=str()):  # of a file of this machine: no right, no room, no folder
            print_error(err, f"{error.filename}: {error.strerror}")
            return Exit.FAILED
    raise error
