"""``dli status``: is the service there, and for whom."""

from __future__ import annotations

import typer

from dli.cli.complaints import Exit
from dli.cli.output import print_facts, print_json
from dli.cli.session import JsonFlag, session_of
from dli.remote.problems import ApiError


def status(context: typer.Context, as_json: JsonFlag = False) -> int:
    """Say whether the service is ready, part by part. Needs no token; exit code 1 if it is not."""
    session = session_of(context)
    access = session.access
    try:
        body, ready = session.new_client(patient=False).health(), True
    except ApiError as error:
        body, ready = dict(error.problem.details), False
    if as_json:
        print_json(session.out, {"url": access.url, "ready": ready, **body})
    else:
        facts: dict[str, object] = {
            "service": f"{access.url} (from {access.url_from})",
            "token": access.token_from or "none",
            "ready": ready,
        }
        print_facts(session.out, facts | body)
    return Exit.DONE if ready else Exit.FAILED
