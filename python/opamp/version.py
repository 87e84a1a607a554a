"""The package's version, where code written against the old package looks for it."""
__all__ = ["__version__"]

__version__ = "0.1.0"
