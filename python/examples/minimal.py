"""python3 minimal.py http://127.0.0.1:4320/v1/opamp: takes one configuration, and ends."""
import sys
import threading

import opamp
from opamp.proto import opamp_pb2


class Callbacks(opamp.OpAMPCallbacks):
    applied = threading.Event()

    def on_message(self, agent, client, message):
        offer = message.remote_config
        if not offer:
            return
        files = {name: bytes(file.body) for name, file in offer.config.config_map.items()}
        print("a configuration:", files)  # here you would apply it
        client.update_effective_config(files, "text/plain")
        client.update_remote_config_status(offer.config_hash, opamp_pb2.RemoteConfigStatuses_APPLIED)
        self.applied.set()


callbacks = Callbacks()
client = opamp.OpAMPClient(endpoint=sys.argv[1], agent_identifying_attributes={"service.name": "minimal"})
with opamp.OpAMPAgent(callbacks=callbacks, client=client) as agent:
    callbacks.applied.wait()
    agent.flush(timeout=5)  # until the server has confirmed what became of it
