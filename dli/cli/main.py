"""The command ``dli``: options that all commands share, and what an error ends as."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from dli.cli import (
    batch,
    budget,
    completion,
    database,
    doctor,
    job,
    migrate,
    pipeline,
    price,
    project,
    queue,
    schedule,
    serve,
    sql,
    statement,
    status,
    table,
    task,
    token,
    trigger,
    up,
    usage,
    webhook,
)
from dli.cli.complaints import Exit, exit_of, print_error, print_problem
from dli.cli.session import Session, UsageError, consoles
from dli.remote.access import AccessError
from dli.remote.problems import ApiError, RemoteError, UnreachableError
from storage.base.errors import InvalidInputError, ServiceError

app = typer.Typer(
    name="dli",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="SQL over your own object storage: priced before it runs, billed to the byte.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage, 3 refused (rights, guard, cap), "
    "4 cancelled or timed out.",
)
#: Options of the root that may also stand behind the command's name.
_SHARED = frozenset({"--url", "--token", "--project"})
#: What typer makes of a Ctrl-C.
_INTERRUPTED = 130


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of the service [env: DLI_URL; else the local one]."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="Token; better in DLI_TOKEN or a config file of mode 0600, "
            "as other users may see a command line.",
        ),
    ] = None,
    project_: Annotated[
        str | None,
        typer.Option("--project", help="Project to act in [env: DLI_PROJECT; else the token's]."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print data and errors only.")
    ] = False,
) -> None:
    out, err = consoles()
    context.obj = Session(url=url, token=token, project=project_, quiet=quiet, out=out, err=err)


app.command("up", rich_help_panel="Service")(up.up)
app.command("serve", rich_help_panel="Service")(serve.serve)
app.command("migrate", rich_help_panel="Service")(migrate.migrate)
app.command("doctor", rich_help_panel="Service")(doctor.doctor)
app.command("status", rich_help_panel="Service")(status.status)
app.command("sql", rich_help_panel="Work")(sql.sql)
app.add_typer(statement.app, name="statement", rich_help_panel="Work")
app.add_typer(batch.app, name="batch", rich_help_panel="Work")
app.add_typer(task.app, name="task", rich_help_panel="Work")
app.add_typer(job.app, name="job", rich_help_panel="Work")
app.add_typer(pipeline.app, name="pipeline", rich_help_panel="Work")
app.add_typer(schedule.app, name="schedule", rich_help_panel="Work")
app.add_typer(trigger.app, name="trigger", rich_help_panel="Work")
app.add_typer(webhook.app, name="webhook", rich_help_panel="Work")
app.add_typer(database.app, name="database", rich_help_panel="Work")
app.add_typer(table.app, name="table", rich_help_panel="Work")
app.command("usage", rich_help_panel="Money")(usage.usage)
app.command("price", rich_help_panel="Money")(price.price)
app.add_typer(budget.app, name="budget", rich_help_panel="Money")
app.add_typer(queue.app, name="queue", rich_help_panel="Administration")
app.add_typer(token.app, name="token", rich_help_panel="Administration")
app.add_typer(project.app, name="project", rich_help_panel="Administration")
app.command("completion", rich_help_panel="Administration")(completion.completion)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; errors are printed and become exit codes."""
    _, err = consoles()
    try:
        result = app(shared_first(arguments), standalone_mode=False, prog_name="dli")
    except UsageError as error:
        print_error(err, str(error))
        return Exit.USAGE
    except AccessError as error:
        print_error(err, str(error))
        return Exit.USAGE
    except ApiError as error:
        print_problem(err, error.problem)
        return exit_of(error)
    except UnreachableError as error:
        print_error(err, str(error), hint="is the service up? `dli up` starts one here")
        return Exit.FAILED
    except RemoteError as error:
        print_error(err, str(error))
        return Exit.FAILED
    except ServiceError as error:  # of a service that we start: a setting that cannot be
        print_error(err, error.message, hint=error.hint)
        return Exit.USAGE if isinstance(error, InvalidInputError) else Exit.FAILED
    except (KeyboardInterrupt, typer.Abort):
        print_error(err, "interrupted")
        return Exit.CANCELLED
    except typer.TyperException as error:
        if show := getattr(error, "show", None):  # the parser's own errors know the usage line
            show()
        else:
            print_error(err, error.format_message())
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough, as `| head` does.
        sys.stderr.close()
        return Exit.DONE
    code = result if isinstance(result, int) else Exit.DONE
    return Exit.CANCELLED if code == _INTERRUPTED else code


def shared_first(arguments: Sequence[str]) -> list[str]:
    """The same words with ``--url``, ``--token`` and ``--project`` moved to the front.

    So that they may stand anywhere before a ``--``.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _SHARED:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.partition("=")[0] in _SHARED:
            front.append(word)
        else:
            rest.append(word)
    return front + rest
