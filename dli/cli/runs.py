"""``dli runs``: what the service has started in a cluster, apart from the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from dli.cli.session import UsageError, session_of
from storage.base.clock import SystemClock
from storage.base.errors import ServiceError

app = typer.Typer(no_args_is_help=True, help="The pods of a service that is no more.")


@app.callback()
def runs() -> None:
    """The pods of a service that is no more."""


@app.command()
def clear(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Yes: every run of the installation, living or not.")
    ] = False,
    settle: Annotated[
        int, typer.Option(min=0, help="Seconds without a run after which there is none.")
    ] = 10,
    limit: Annotated[int, typer.Option(min=1, help="Seconds after which it gives up.")] = 120,
) -> None:
    """End and remove all pods and secrets of an installation in its clusters, finalizers included.

    For the time after the service: the chart does it when it is uninstalled. Which clusters,
    namespace and installation are meant, the settings of the service say (`DLI_KUBERNETES_…`).

    Example: `dli runs clear --all`
    """
    if not everything:
        raise UsageError("say --all: this ends every run of the installation")
    # What knows of clusters takes longer to load than the help of all commands.
    from dli import clusters  # noqa: PLC0415
    from dli.settings.loading import load  # noqa: PLC0415
    from jobs.launchers import clearing, cluster  # noqa: PLC0415

    settings = load()
    if settings.launcher != "kubernetes":
        raise UsageError("runs on a machine end with their service; DLI_LAUNCHER is not kubernetes")
    found, away = 0, None
    for each in clusters.every_cluster(settings).values():
        try:
            found += clearing.clear(
                cluster.Cluster(each),
                settings.kubernetes_installation,
                settle=timedelta(seconds=settle),
                limit=timedelta(seconds=limit),
                clock=SystemClock(),
            )
        except ServiceError as error:  # the others are cleared none the less
            away = error
    session_of(context).out.print(f"{found} objects of the installation removed")
    if away is not None:
        raise away
