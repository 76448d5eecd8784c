"""What may be set of where work runs: engines, processes of this machine, pods of clusters."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, Field

from dli.settings.values import Size, Span, Words


class EngineSettings(BaseModel):
    """Engines"""

    sail_memory: Size = Field(
        2 * 2**30, ge=2**29, description="Memory of one Sail engine (size); it is killed above."
    )
    spark_memory: Size = Field(
        2 * 2**30 + 2**29,
        ge=2**30 + 2**28,
        description="Memory of one Spark engine with its JVM (size); it is killed above.",
    )
    engine_cores: int = Field(
        default_factory=lambda: (
            len(psutil.Process().cpu_affinity())
            if hasattr(psutil.Process, "cpu_affinity")
            else psutil.cpu_count() or 1
        ),
        ge=1,
        description="Cores that one engine uses; all of the machine's if not set.",
    )
    engine_statements: int = Field(
        16, ge=1, description="Statements that share one engine; others wait."
    )
    engine_idle: Span = Field(
        timedelta(minutes=5), description="An engine without statements is stopped after this."
    )
    engine_max_age: Span = Field(
        timedelta(hours=6), description="An engine that is older is replaced (span)."
    )
    engine_max_statements: int = Field(
        5000, ge=1, description="An engine that served so many statements is replaced."
    )
    engine_start_timeout: Span = Field(
        timedelta(minutes=2), description="How long an engine may take to start (span)."
    )
    engine_cache: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dli"
        ),
        description="Folder for what makes Spark start faster; made once, good for any home.",
    )
    java_home: Path | None = Field(
        None, description="Java for Spark; the one that was installed with the service if not set."
    )


class LauncherSettings(BaseModel):
    """Where engines, batches and tasks run"""

    launcher: Literal["local", "kubernetes"] = Field(
        "local",
        description="`local`: as processes of this machine; `kubernetes`: as pods of a cluster, "
        "which needs a warehouse in S3 that pods reach.",
    )
    kubernetes_image: str | None = Field(
        None, description="Image of pods: this service's own, named by its digest or a fixed tag."
    )
    kubernetes_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull the image."
    )
    kubernetes_pull_secrets: Words = Field(
        (),
        description="Names of Secrets in the namespace of pods with which nodes pull the image, "
        "and those of queues and tasks.",
    )
    kubernetes_namespace: str = Field("default", description="Namespace of the pods.")
    kubernetes_installation: str = Field(
        "dli",
        pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Tells the pods of this service from those of another in the namespace; the "
        "same for all replicas.",
    )
    kubernetes_service_account: str | None = Field(
        None, description="Service account of Spark drivers, which start executors."
    )
    kubernetes_kubeconfig: Path | None = Field(
        None,
        description="File that says how to reach the cluster; if not set, as the service's own pod "
        "does.",
    )
    kubernetes_context: str | None = Field(None, description="Context of that file.")
    kubernetes_clusters: Path | None = Field(
        None,
        description="File of further clusters (TOML): a table for each by its name, with "
        "`kubeconfig`, `context` if it is not the current one, and `namespace`. Without it there "
        "is one cluster, called `default`; see docs/kubernetes.md.",
    )
    kubernetes_scratch: Size = Field(
        10 * 2**30,
        ge=2**26,
        description="Disk that a pod may use for its files and what it spills (size); it is ended "
        "above.",
    )
    kubernetes_shared_credentials: bool = Field(
        True,
        description="Whether engines and batches of a project without credentials of its own use "
        "the service's keys of S3; if not, they are refused.",
    )
    canary_shadow_timeout: Span = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="How long a query may take that is repeated on a canary (span); what took more "
        "than half of it is not repeated.",
    )
    canary_shadow_bytes: Size = Field(
        64 * 2**20,
        description="A larger result, as it is stored, is not compared with a canary's (size).",
    )
    spark_executors: int = Field(
        4,
        ge=0,
        le=1000,
        description="Most executors that a Spark engine in pods has, unless its queue says "
        "otherwise. It has one while it lives, and more while there is work for them; 0: its "
        "driver computes by itself.",
    )
    spark_executor_cores: int = Field(
        2, ge=1, le=256, description="Cores of one such executor, unless its queue says otherwise."
    )
    spark_executor_memory: Size = Field(
        4 * 2**30,
        ge=3 * 2**29,
        description="Memory of one such executor (size), unless its queue says otherwise.",
    )
    run_start_timeout: Span = Field(
        timedelta(minutes=5),
        description="A batch or task that the cluster does not start for so long is given up "
        "(span).",
    )
