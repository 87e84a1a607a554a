"""A host of bench/python.py: the documented usage, with the package that the first argument names. Commands come by standard input.

usage: python_host.py PACKAGE ENDPOINT INTERVAL_S
"""
import importlib
import json
import sys
import time


def rss_kib(name="VmRSS"):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))


def wake_ups():
    import os
    total = 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as status:
            total += next(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches:"))
    return total


def threads():
    import os
    return len(os.listdir("/proc/self/task")) - 1


def main():
    name, endpoint, interval = sys.argv[1], sys.argv[2], float(sys.argv[3])
    # The empty interpreter has what the commands below need.
    json.dumps({"a": 1})
    before, cpu, begin = rss_kib(), time.process_time(), time.perf_counter()
    package = importlib.import_module(name)
    OpAMPAgent, OpAMPCallbacks, OpAMPClient = package.OpAMPAgent, package.OpAMPCallbacks, package.OpAMPClient
    imported = {"import_ms": (time.perf_counter() - begin) * 1000, "import_cpu_ms": (time.process_time() - cpu) * 1000,
                "import_kib": rss_kib() - before}
    constants = importlib.import_module(name + ".proto.opamp_pb2")
    answers = 0
    marks = {}

    class Callbacks(OpAMPCallbacks):
        def on_connect(self, agent, client):
            nonlocal answers
            answers += 1
            if answers in (20, 220):
                marks[answers] = time.process_time()

        def on_message(self, agent, client, message):
            if not message.remote_config:
                return
            applied, plain = {}, {}
            for file, content in message.remote_config.config.config_map.items():
                if content.content_type != "application/json":
                    plain[file] = content.body
            if not plain:
                applied = dict(client.decode_remote_config(message.remote_config))
            client.update_effective_config(plain or applied, "text/plain" if plain else "application/json")
            client.update_remote_config_status(
                remote_config_hash=message.remote_config.config_hash, status=constants.RemoteConfigStatuses_APPLIED, error_message="")
            agent.send(payload=client.build_full_state_message())

    client = OpAMPClient(endpoint=endpoint, timeout_millis=30_000, agent_identifying_attributes={"service.name": "bench"})
    agent = OpAMPAgent(interval=interval, callbacks=Callbacks(), client=client)
    started = time.monotonic_ns()
    agent.start()
    mark = 0.0
    for command in sys.stdin:
        if command == "import\n":
            print(json.dumps(imported), flush=True)
        elif command == "started\n":
            print(json.dumps(started), flush=True)
        elif command == "added\n":
            print(json.dumps(rss_kib() - before), flush=True)
        elif command == "peak\n":
            print(json.dumps(rss_kib("VmHWM") - before), flush=True)
        elif command == "threads\n":
            print(json.dumps(threads()), flush=True)
        elif command == "wakes\n":
            print(json.dumps(wake_ups()), flush=True)
        elif command == "exchange\n":
            while 220 not in marks:
                time.sleep(0.05)
            print(json.dumps((marks[220] - marks[20]) / 200), flush=True)
        elif command == "poll\n":
            mark = time.process_time()
            agent.send(payload=client.build_heartbeat_message())
            print("0", flush=True)
        elif command == "cpu\n":
            print(json.dumps(time.process_time() - mark), flush=True)
    agent.stop()


if __name__ == "__main__":
    main()
