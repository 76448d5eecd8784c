"""A Python for pods whose image has none: what the porter needs, copied out of our own image.

Started as ``python -I -m jobs.launchers.pod.runtime TARGET`` in a container of our image, which
ends before the one of another image begins. What it copies to the volume TARGET is what it has
loaded itself, which is all that the porter loads: the interpreter with the loader and libraries of
its own C library, and the modules, compiled. Nothing of the other image is used but the kernel that
both share, so that the image may be of another distribution, or empty but for one program.

Only the standard library, as in ``porter``.
"""

from __future__ import annotations

import ctypes
import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.utf_8
import importlib.util
import marshal
import os
import pathlib
import re
import shutil
import ssl
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import porter  # type: ignore[import-not-found]
import window  # type: ignore[import-not-found]
from brought import AUTHORITIES, LIBRARIES, LOADER, OURS, PYTHON  # type: ignore[import-not-found]

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_USED = (ctypes, pathlib, porter, window)  # with all that these load, and:
_TEXTS = (encodings.ascii, encodings.idna, encodings.latin_1, encodings.utf_8)
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")
_INTERPRETER = re.compile(r"^ld-[^/]*\.so[0-9.]*$")
_THREADS_END = "libgcc_s.so.1"  # which the C library loads when a thread ends, and not before
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # of Debian


class NoLoaderError(Exception):
    """This Python was started in a way that cannot be repeated elsewhere."""


def main() -> int:
    """Copy; the exit code tells whether it worked."""
    copy(sys.argv[1])
    return 0


def copy(target: str) -> None:
    """Fill the folder. Raises ``NoLoaderError`` and ``OSError``."""
    assert all((*_USED, *_TEXTS))
    ctypes.CDLL(_THREADS_END)
    stdlib = sysconfig.get_path("stdlib")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = os.path.join(target, LIBRARIES, version)
    for folder in (os.path.join(target, "bin"), os.path.join(home, "lib-dynload")):
        os.makedirs(folder, exist_ok=True)
    _copied(os.path.realpath(sys.executable), os.path.join(target, PYTHON))
    _copy_libraries(target, stdlib, home)
    for name, module in list(sys.modules.items()):
        spec, source = _found(name, module)
        if not source.endswith(".py"):
            continue
        inside, ours = os.path.relpath(source, stdlib), os.path.relpath(source, _OURS)
        if _is_below(inside):
            _compile(spec, os.path.join(home, f"{inside}c"))
        elif _is_below(ours) and "." not in name and name != "__main__":
            _compile(spec, os.path.join(target, OURS, f"{ours}c"))
    for authorities in (ssl.get_default_verify_paths().cafile, _BUNDLE):
        if authorities and os.path.exists(authorities):
            _copied(authorities, os.path.join(target, AUTHORITIES))
            break


def _copy_libraries(target: str, stdlib: str, home: str) -> None:
    """All that is mapped into this process; modules keep their place, the rest its names."""
    loader = None
    for path in sorted(_mapped()):
        inside, name = os.path.relpath(path, os.path.realpath(stdlib)), os.path.basename(path)
        if _is_below(inside):
            _copied(path, os.path.join(home, inside))
            continue
        _copied(path, os.path.join(target, LIBRARIES, name))
        names = list(_names(path))
        for each in names:
            _link(name, os.path.join(target, LIBRARIES, each))
        if any(_INTERPRETER.match(each) for each in (name, *names)):
            loader = path
    if loader is None:
        raise NoLoaderError("no loader of shared libraries is mapped into this process")
    _copied(loader, os.path.join(target, LOADER))


def _mapped() -> set[str]:
    """Paths of the shared libraries of this process."""
    with open("/proc/self/maps") as file:
        paths = {line.rstrip("\n").partition("/")[2] for line in file if "/" in line}
    return {f"/{path}" for path in paths if _LIBRARY.search(path)}


def _names(path: str) -> Iterator[str]:
    """The other names of a library beside it, by one of which others ask for it."""
    with os.scandir(os.path.dirname(path)) as found:
        for each in found:
            if each.is_symlink() and os.path.realpath(each.path) == path:
                yield each.name


def _found(name: str, module: ModuleType) -> tuple[ModuleSpec | None, str]:
    """Where a module came from, and its file.

    It may have put another one in its own place, as ``collections.abc`` of Python 3.13 does.
    """
    spec, source = getattr(module, "__spec__", None), getattr(module, "__file__", None) or ""
    if spec is None or spec.name == name or name == "__main__":
        return spec, source
    package = sys.modules.get(name.rpartition(".")[0])
    spec = PathFinder.find_spec(name, getattr(package, "__path__", ()))
    return spec, (spec.origin if spec is not None else None) or ""


def _compile(spec: ModuleSpec | None, target: str) -> None:
    """Put the module's code there, which is then good without its text, whenever it was made."""
    code = spec.loader.get_code(spec.name) if spec is not None else None  # type: ignore[union-attr]
    if code is None:
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))


def _link(name: str, target: str) -> None:
    if not os.path.lexists(target):
        os.symlink(name, target)


def _copied(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)  # noqa: S103  another user may run it


def _is_below(inside: str) -> bool:
    return not inside.startswith(("..", "site-packages", "dist-packages"))


if __name__ == "__main__":
    sys.exit(main())
