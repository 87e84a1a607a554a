"""Our modules under another package's name, for code that can not be changed."""
from __future__ import annotations

import importlib
import sys
from types import ModuleType

MODULES = ("agent", "callbacks", "client", "exceptions", "messages", "proto", "proto.anyvalue_pb2",
           "proto.opamp_pb2", "transport", "transport.base", "transport.exceptions",
           "transport.requests", "version")


def install_as(name: str = "opentelemetry._opamp") -> None:
    """Registers this package and its modules as `name`, in this process, and logs under that name
    from now on.

    To be called before anything imports `name`. Raises RuntimeError if another package of that name
    is loaded already.
    """
    package = importlib.import_module(__package__ or "opamp")
    if sys.modules.get(name, package) is not package:
        raise RuntimeError(f"{name} is already imported from another package")
    above, _, last = name.rpartition(".")
    if above:
        setattr(_parent(above), last, package)
    sys.modules[name] = package
    for module in MODULES:
        sys.modules[f"{name}.{module}"] = importlib.import_module(f"{package.__name__}.{module}")
    from . import _log

    _log.log_under(name)


def _parent(name: str) -> ModuleType:
    """The package of that name; an empty one where none is installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        module = ModuleType(name)
        module.__path__ = []
        sys.modules[name] = module
        return module
