"""What every runner of tests does first: all peers are on loopback, whatever the way to the world is."""
import os

# Below those that the kernel gives to outgoing connections.
QUIET_PORTS = range(20_000, 32_000)


def forget_proxies():
    """An agent reads these variables when it starts, and nothing excepts loopback from them."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
