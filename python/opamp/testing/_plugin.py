"""The fixtures, where pytest is installed; pytest finds this module by the wheel's entry point."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Devserver, FakeTransport


@pytest.fixture
def opamp_devserver() -> Iterator[Devserver]:
    """A development server of this test's own."""
    from . import Devserver

    with Devserver() as server:
        yield server


@pytest.fixture
def opamp_transport() -> FakeTransport:
    """A transport that needs no server:
    `OpAMPClient(endpoint="url", transport=opamp_transport, ..)`."""
    from . import FakeTransport

    return FakeTransport()
