"""What every test here stands on: a folder of its own, certificates, an agent, and the order in which all of it ends."""
import pathlib
import sys
import tempfile
import unittest

from child import ROOT, Agent

sys.path.append(str(ROOT / "tests/conformance"))  # last: it has files of the same names
from devserver import Devserver  # noqa: E402

SCHEMES = ("http", "https", "ws", "wss")


class Stage(unittest.TestCase):
    """A class per scheme: see `per_scheme`."""

    scheme = "http"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="opamp-interop-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name).resolve()

    @property
    def is_secure(self):
        return self.scheme in ("https", "wss")

    @property
    def is_socket(self):
        return self.scheme in ("ws", "wss")

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="opamp-trust-")
        cls.addClassCleanup(folder.cleanup)
        cls.trust = make_authority(pathlib.Path(folder.name).resolve())

    def agent(self, endpoint, *arguments, shows_certificate=True, **more):
        trusted = []
        if endpoint.startswith(("https", "wss")):
            trusted = ["--ca", self.trust / "ca.pem"]
            if shows_certificate:
                trusted += ["--cert", self.trust / "client.pem", "--key", self.trust / "client.key"]
        agent = Agent(self.work, endpoint, *trusted, *arguments, **more)
        self.addCleanup(agent.close)
        return agent


def make_authority(folder):
    """ca.pem, and what it issued: server, client and client2, each .pem with its .key; from a server that ends again."""
    with Devserver(tls=folder):
        pass
    return folder


def only(*schemes):
    """Marks a test that means something over these schemes alone."""
    def mark(test):
        test.schemes = schemes
        return test
    return mark


def per_scheme(module, base, schemes=SCHEMES):
    """A test class for each scheme, such as GoServerTestsOverHttps."""
    for scheme in schemes:
        name = f"{base.__name__}Over{scheme.capitalize()}"
        elsewhere = {key: None for key, value in vars(base).items() if scheme not in getattr(value, "schemes", schemes)}
        setattr(module, name, type(name, (base, Stage), {"scheme": scheme, "__module__": module.__name__, **elsewhere}))
