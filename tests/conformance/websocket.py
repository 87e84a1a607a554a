"""What the tests over WebSocket share, beside the stage."""
from wire import WireStage


class OverWebSocket(WireStage):
    """A stage whose endpoint is a ws one; in front of another it makes that stage speak WebSocket."""

    transport = "ws"
    # A message that is none is skipped, and the connection goes on.
    useless = "warning"

    def setUp(self):
        # Many a test has a connection lost again and again, with waits far below the shipped ones.
        self.pardoned = (*self.pardoned, "WS-10")
        super().setUp()

    def recovered(self, agent):
        self.exchange(agent)

    def messages(self, since=0, **query):
        """The head of a message is the one of the upgrade that its connection began with."""
        upgrades = {entry["connection"]: entry["http"] for entry in self.upgrades()}
        return [{**message, "_http": upgrades.get(message["_connection"])} for message in super().messages(since, **query)]

    def upgrades(self, since=0):
        """All requests for a WebSocket, oldest first."""
        return self.server.timeline(kind="upgrade", since=since, limit=100_000)

    def frames(self, kind, way, since=0):
        """Pings, pongs or Close frames, received or sent."""
        return [frame for frame in self.server.timeline(kind=kind, since=since, limit=100_000) if frame["way"] == way]
