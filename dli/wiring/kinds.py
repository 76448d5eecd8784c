"""The kinds of jobs beside statements, and what submits jobs by itself."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dli.api.documents import Documents
from dli.grounds import access_of, ground_of, spark_of, terms_of
from dli.identity.authors import MemberRights
from dli.observability.metrics import Metrics
from dli.settings.loading import Settings
from dli.wiring.storage import Stored, s3_of
from jobs.automation import Automation, News
from jobs.batches.placing import Placing
from jobs.batches.submitting import Batches
from jobs.batches.work import BatchWork
from jobs.execution.parts import Parts
from jobs.files import Files, FileSettings
from jobs.lifecycle.spec import JobKind
from jobs.notices.targets import Targets
from jobs.pipelines.service import Pipelines
from jobs.pipelines.submitting import RunSubmitting
from jobs.service import JobService
from jobs.tasks.commands import find_commands
from jobs.tasks.images import Images
from jobs.tasks.sandbox import Sandbox, SandboxMode, find_sandbox
from jobs.tasks.submitting import Tasks, TaskSettings
from jobs.tasks.work import TaskWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """What is asked of the service beside statements; ``documents`` takes all of it as JSON."""

    files: Files
    batches: Batches
    tasks: Tasks
    pipelines: Pipelines
    documents: Documents


def add_kinds(settings: Settings, stored: Stored, parts: Parts, jobs: JobService) -> Kinds:
    """Batches, tasks and runs of pipelines join the kinds of jobs that the service runs."""
    files = _files(settings, stored)
    batches = _batches(settings, parts, jobs, files)
    tasks = _tasks(settings, parts, jobs, files)
    runs = RunSubmitting(
        parts=parts, accepting=jobs.accepting, queues=jobs.queues.known, once=jobs.once
    )
    documents = Documents(jobs=jobs, batches=batches, tasks=tasks, runs=runs, files=files)
    pipelines = Pipelines(parts, jobs, documents, runs, MemberRights())
    jobs.add_kind(JobKind.PIPELINE, pipelines.work)
    return Kinds(
        files=files, batches=batches, tasks=tasks, pipelines=pipelines, documents=documents
    )


def make_automation(
    settings: Settings,
    stored: Stored,
    jobs: JobService,
    documents: Documents,
    *,
    targets: Targets,
    news: News,
    metrics: Metrics,
) -> Automation:
    """Schedules, triggers and webhooks; ``targets`` are where these may lead."""
    return Automation.make(
        database=stored.database,
        documents=documents,
        authors=MemberRights(),
        cancel=jobs.cancel,
        locations=stored.locations,
        targets=targets,
        news=news,
        lateness=metrics.fired,
        firings_kept=settings.firings_kept,
        deliveries_kept=settings.deliveries_kept,
    )


def _files(settings: Settings, stored: Stored) -> Files:
    return Files(
        database=stored.database,
        store=stored.warehouse,
        locations=stored.locations,
        clock=stored.clock,
        settings=FileSettings(
            drafts=settings.folder / "uploads",
            max_upload=settings.max_upload,
            kept=settings.files_kept,
        ),
    )


def _batches(settings: Settings, parts: Parts, jobs: JobService, files: Files) -> Batches:
    work = BatchWork(
        files=files,
        spark=spark_of(settings),
        placing=Placing(
            ground=ground_of(settings, python=settings.batch_python),
            s3=s3_of(settings) if settings.launcher == "kubernetes" else None,
            terms=terms_of(settings, parts.database),
            access=access_of(settings, parts.database),
        ),
    )
    jobs.add_kind(JobKind.BATCH, work.run)
    return Batches(
        parts=parts,
        accepting=jobs.accepting,
        queues=jobs.queues.known,
        files=files,
        once=jobs.once,
        enabled=settings.batches,
    )


def _tasks(settings: Settings, parts: Parts, jobs: JobService, files: Files) -> Tasks:
    """Without commands or images that are allowed each task is refused."""
    pods = settings.launcher == "kubernetes"
    search = None if pods else os.environ.get("PATH", os.defpath)
    commands = find_commands(settings.task_commands, search=search)
    images = Images(patterns=settings.task_images, possible=pods)
    mode = settings.task_sandbox if commands else SandboxMode.OFF
    sandbox = Sandbox(pod=True) if pods else find_sandbox(mode, settings.task_paths)
    work = TaskWork(
        files=files,
        commands=commands,
        images=images,
        sandbox=sandbox,
        terms=terms_of(settings, parts.database),
    )
    jobs.add_kind(JobKind.TASK, work.run)
    return Tasks(
        parts=parts,
        accepting=jobs.accepting,
        queues=jobs.queues.known,
        files=files,
        settings=TaskSettings(
            commands=commands, images=images, max_output=settings.task_max_output
        ),
        once=jobs.once,
    )
