"""The package's version, where code written against the old package looks for it."""
from . import __version__

__all__ = ["__version__"]
