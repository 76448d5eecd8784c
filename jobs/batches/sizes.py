"""How large a program's processes are: classes with names, exact sizes, and the next one up.

A CU is one core with 4 GiB. What the local launcher starts is one process tree for driver and
executors together, so it gets the sum of what they ask for.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

from jobs.errors import RequestInvalidError
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import cu_rate
from jobs.lifecycle.spec import BatchLanguage, BatchSpec, Size

MIB = 1 << 20
GIB = 1 << 30

#: Name → cores and memory of the driver; each next one is twice the one before.
SIZES: Mapping[str, Size] = {
    "small": Size(cores=1, memory_bytes=4 * GIB),
    "medium": Size(cores=2, memory_bytes=8 * GIB),
    "large": Size(cores=4, memory_bytes=16 * GIB),
    "xlarge": Size(cores=8, memory_bytes=32 * GIB),
}
DEFAULT_SIZE = "small"

CLIENT_SIZE = Size(cores=1, memory_bytes=GIB)  #: of a program whose engine computes elsewhere

#: Spark refuses to start on less than 450 MiB of heap; a JVM and a Python stand beside it.
LEAST_MEMORY = 1536 * MIB
MOST_MEMORY = 1024 * GIB
MOST_CORES = 256
MOST_EXECUTORS = 1000

_JVM_OUTSIDE_HEAP = 640 * MIB  # metaspace, code, threads, buffers: 0.5 to 0.6 GiB measured
_PYTHON_LEAST = 256 * MIB
_PYTHON_SHARE = 5  # a fifth of the memory is for the Python driver and its workers
_JVM_SHARE = 10


def class_size(name: str) -> Size:
    """The size of that class. Raises ``RequestInvalidError`` with a near name."""
    size = SIZES.get(name)
    if size is None:
        near = difflib.get_close_matches(name.lower(), SIZES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(SIZES)}"
        raise RequestInvalidError(f"there is no size {name!r}", hint=hint, field="size")
    return size


def checked_size(size: Size, field: str) -> Size:
    """``size`` itself, if a Spark process can be so large; raises ``RequestInvalidError``."""
    if not 1 <= size.cores <= MOST_CORES:
        raise RequestInvalidError(f"{field}: cores are from 1 to {MOST_CORES}", field=field)
    if not LEAST_MEMORY <= size.memory_bytes <= MOST_MEMORY:
        raise RequestInvalidError(
            f"{field}: memory is from {LEAST_MEMORY // MIB} MiB to {MOST_MEMORY // GIB} GiB",
            hint="Spark itself needs most of the least",
            field=field,
        )
    return size


def whole_size(spec: BatchSpec) -> Size:
    """All processes of the program together, as its first attempt asks for them."""
    if spec.executor is None:
        return spec.driver
    return Size(
        cores=spec.driver.cores + spec.executor.cores * spec.executors,
        memory_bytes=spec.driver.memory_bytes + spec.executor.memory_bytes * spec.executors,
    )


def shares_of(spec: BatchSpec, whole: Size) -> tuple[Size, Size | None]:
    """What the driver and each executor get of ``whole``, the size of one attempt.

    Cores are as asked; memory grows for all by the same ratio. None: there are no executors.
    """
    if spec.executor is None or not spec.executors:
        return whole, None
    asked = whole_size(spec).memory_bytes

    def grown(size: Size) -> Size:
        memory = size.memory_bytes * whole.memory_bytes // asked
        return replace(size, memory_bytes=memory // MIB * MIB)

    return grown(spec.driver), grown(spec.executor)


def pods_cu_millis(job: Job, spec: BatchSpec, whole: Size, *, driver: int, executors: int) -> int:
    """What a driver's pod and its executors came to, by their milliseconds; the latter together.

    Each counts with its part of what the job reserves.
    """
    driver_size, executor_size = shares_of(spec, whole)

    def rate(size: Size) -> int:
        return cu_rate(
            job.cpu_millis * size.cores // whole.cores,
            job.memory_bytes * size.memory_bytes // whole.memory_bytes,
        )

    used = rate(driver_size) * driver
    if executor_size is not None:
        used += rate(executor_size) * executors
    return used // 1000


def next_size(size: Size) -> Size:
    """What follows ``size`` after an out-of-memory end: the memory of the next class, else twice.

    Cores stay: more tasks side by side would want more memory again.
    """
    for known in SIZES.values():
        if known.memory_bytes > size.memory_bytes:
            return replace(size, memory_bytes=known.memory_bytes)
    return replace(size, memory_bytes=size.memory_bytes * 2)


def size_name(size: Size) -> str:
    """The name of its class, or ``2 cores, 6 GiB``."""
    for name, known in SIZES.items():
        if known == size:
            return name
    cores = "1 core" if size.cores == 1 else f"{size.cores} cores"
    return f"{cores}, {size.memory_bytes / GIB:g} GiB"


def heap_bytes(size: Size, language: BatchLanguage) -> int:
    """How much of the memory the JVM may use as heap; the rest is for what is beside it."""
    memory = size.memory_bytes
    outside = max(_JVM_OUTSIDE_HEAP, memory // _JVM_SHARE)
    if language is not BatchLanguage.JAR:
        outside += max(_PYTHON_LEAST, memory // _PYTHON_SHARE)
    return memory - outside
