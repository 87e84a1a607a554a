"""What the API raises beside ValueError and TypeError."""
from __future__ import annotations

from .transport.exceptions import OpAMPException

__all__ = ["OpAMPException", "OpAMPRemoteConfigDecodeException",
           "OpAMPRemoteConfigParseException", "OpAMPTimeoutError"]


class OpAMPTimeoutError(OpAMPException):
    """A bound on time passed."""


class OpAMPRemoteConfigParseException(Exception):
    """A file of a configuration has a content type that is not JSON."""


class OpAMPRemoteConfigDecodeException(Exception):
    """A file of a configuration is not the JSON that it claims to be."""
