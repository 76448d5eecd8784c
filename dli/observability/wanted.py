"""Whether traces are wanted: only where an OTLP endpoint is configured by a standard variable."""

from __future__ import annotations

import os
from collections.abc import Mapping

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracing_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an endpoint is configured."""
    return any(environment.get(name) for name in _VARIABLES)
