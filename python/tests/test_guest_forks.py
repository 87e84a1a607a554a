"""A guest in a process that forks: the agent and its session stay with the parent; the child has none, or one of its own."""
import os
import select
import signal
import tempfile
import unittest
from pathlib import Path

from guest import HOSTS, Host, WHOLE, run, sessions

from opamp.testing import Devserver


class Forks(unittest.TestCase):
    def check_whole(self, server, agents):
        """So many agents, each with one session from first to last, and nothing wrong."""
        seen = sessions(server)
        self.assertEqual((len(seen), set(seen.values())), (agents, {WHOLE}))
        self.assertEqual(server.problems(), [])

    def test_a_child_has_no_agent_says_so_once_and_leaves_the_parents_alone(self):
        """[LIFE-05] [GUEST-07] Over TLS, under traffic, by `os.fork`; whatever it calls, if anything, and however it ends."""
        with Devserver(tls=True, client_auth=True) as server:
            _, said = run(server, """
agent = agent_of()
agent.start()
assert agent.flush(20)
for number in range(30):
    pid = os.fork()
    if pid == 0:
        if number % 3:
            assert agent.snapshot() == {}
            agent.send(agent._client.build_heartbeat_message())
            agent._client.update_effective_config({"a": "child"}, "text/plain")
            agent.stop()
        sys.exit(0) if number % 2 else os._exit(0)
    ended(pid)
    assert agent.flush(20)
agent.stop()
""")
            self.check_whole(server, 1)
            self.assertNotIn("child", str(server.messages()))
            self.assertEqual(said.count("it has none of its own"), 30)
            self.assertEqual(len(said.splitlines()), 30, said)

    def test_with_restart_after_fork_a_child_has_its_own_with_its_own_uid(self):
        """[LIFE-05] It reports what the parent's client was told, and says its own goodbye."""
        with Devserver() as server:
            said = run(server, """
agent = agent_of(restart_after_fork=True)
agent._client.update_effective_config({"a": "of all"}, "text/plain")
agent.start()
assert agent.flush(20)
for number in range(5):
    pid = os.fork()
    if pid == 0:
        assert agent.flush(20)
        sys.exit(0)
    ended(pid)
assert agent.flush(20)
agent.stop()
pid = os.fork()  # it does not run any more, so the child has none until it starts it
if pid == 0:
    assert agent.snapshot() == {}
    agent.start()
    assert agent.flush(20)
    sys.exit(0)
ended(pid)
""")
            self.check_whole(server, 7)
            self.assertEqual(said, ("", ""))
            self.assertEqual(len(server.timeline(part="effective_config", kind="received")), 7)

    def test_a_client_that_was_made_before_the_fork_has_another_name_in_each_child(self):
        """[LIFE-05] The configurator runs in a master process, each worker starts its agent."""
        with Devserver() as server:
            run(server, """
client = client_of()
names = {client.instance_uid}
client.send(client.build_full_state_message())
for number in range(3):
    pid = os.fork()
    if pid == 0:
        assert client.instance_uid not in names
        with agent_of(client) as agent:
            assert agent.flush(20)
        sys.exit(0)
    ended(pid)
""")
            self.assertEqual(len(server.agents()), 4)
            self.assertEqual(list(sessions(server).values()).count(WHOLE), 3)

    def test_a_fork_in_c_that_runs_no_hooks_is_noticed_too(self):
        """[GUEST-07]"""
        script = """
import ctypes
fork = ctypes.PyDLL(None).fork
agent = OpAMPAgent(interval=60, callbacks=OpAMPCallbacks(), client=client_of(), restart_after_fork=sys.argv[1] == "restart")
agent.start()
assert agent.flush(20)
for number in range(10):
    # CPython does not survive such a fork while another thread waits for the interpreter: the agent's is at rest by then.
    time.sleep(0.1)
    pid = fork()
    if pid == 0:
        if sys.argv[1] == "restart":
            assert agent.flush(20)
        else:
            assert agent.snapshot() == {}
        agent.stop()
        os._exit(0)
    ended(pid)
    assert agent.flush(20)
agent.stop()
"""
        for how, agents in (("leave", 1), ("restart", 11)):
            with self.subTest(how), Devserver() as server:
                run(server, script, how)
                self.check_whole(server, agents)

    def test_multiprocessing_forks_and_spawns(self):
        """[LIFE-05]"""
        with Devserver() as server, tempfile.TemporaryDirectory() as folder:
            main = Path(folder) / "main.py"
            main.write_text("""
import multiprocessing, os, sys
import opamp

def work(number):
    return number * number

if __name__ == "__main__":
    agent = opamp.OpAMPAgent(interval=0.02, callbacks=None, client=opamp.OpAMPClient(
        endpoint=sys.argv[1], agent_identifying_attributes={"service.name": "guest"}, timeout_millis=20000))
    agent.start()
    assert agent.flush(20)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            assert pool.map(work, range(50)) == [n * n for n in range(50)]
        assert agent.flush(20)
    agent.stop()
""")
            run(server, f"import runpy\nsys.argv = [{str(main)!r}, {server.endpoint!r}]\nrunpy.run_path(sys.argv[0], run_name='__main__')")
            self.check_whole(server, 1)


# What the hosts serve or work on; each of their processes has this module.
APPLICATION = """
import json, os
import opamp

agent = opamp.OpAMPAgent(interval=0.02, callbacks=opamp.OpAMPCallbacks(), restart_after_fork=os.environ["GUEST_RESTART"] == "1",
    client=opamp.OpAMPClient(agent_identifying_attributes={"service.name": "guest"}, timeout_millis=20000, **json.loads(os.environ["GUEST_OPTIONS"])))

def application(environ, start_response):
    start_response("200 OK", [])
    return []

def tell(**_):  # the master takes signals from now on
    with open("ready", "w") as ready:
        ready.write("yes")
"""


@unittest.skipUnless((HOSTS / "bin/gunicorn").exists(), f"no gunicorn, celery and uwsgi in {HOSTS} (pip install -r python/tests/guest-hosts.txt)")
class Masters(unittest.TestCase):
    """Programs that fork workers; a worker is ended by its master, politely."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkfifo(f"{self.folder}/ready")
        self.ready = os.open(f"{self.folder}/ready", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, self.ready)
        Path(self.folder, "gunicorn.conf.py").write_text("def when_ready(server):\n    open('ready', 'w').write('yes')\n")

    def serve(self, restart, agents, *command, start="agent.start()"):
        """Runs a master until so many agents were heard of, all heartbeating; then ends it."""
        Path(self.folder, "guest_app.py").write_text(APPLICATION + start + "\n")
        with Devserver() as server:
            with Host(server, *command, cwd=self.folder, GUEST_RESTART=str(int(restart))) as host:
                self.assertTrue(select.select([self.ready], [], [], 60)[0], "the master is not ready")
                os.read(self.ready, 100)
                for number in range(agents):
                    server.wait("messages>=1", timeout=30, since=server.wait("full", timeout=30, since=self.since(server, number))["index"])
                for agent in server.agents():
                    server.wait("heartbeats>=5", agent=agent["uid"], timeout=30, since=server.call("GET", "")["next"])
                status, said = host.end(signal.SIGTERM)
            self.assertEqual(status, 0, said)
            seen = sessions(server)
            self.assertEqual(len(seen), agents, said)
            self.assertEqual([each[0] for each in seen.values()], [True] * agents)
            self.assertLessEqual({each[1] for each in seen.values()}, {0, 1})
            self.assertEqual(server.problems(), [])
            return seen, said

    def since(self, server, number):
        """The index from which on the full report of another agent comes."""
        full = [entry["index"] for entry in server.timeline(kind="received", limit=100_000) if entry.get("full")]
        return full[number - 1] + 1 if number else 0

    def gunicorn(self, *more):
        return (HOSTS / "bin/gunicorn", "--workers", "2", "--bind", "127.0.0.1:0", "--graceful-timeout", "2", *more, "guest_app")

    def test_gunicorn_workers_that_load_the_application_have_an_agent_each(self):
        """[LIFE-05] [GUEST-06]"""
        self.serve(False, 2, *self.gunicorn())

    def test_gunicorn_with_preload_leaves_the_agent_with_the_master(self):
        """[LIFE-05]"""
        seen, said = self.serve(False, 1, *self.gunicorn("--preload"))
        self.assertEqual(list(seen.values()), [WHOLE])
        self.assertEqual(said.count("it has none of its own"), 2, said)

    def test_gunicorn_with_preload_and_restart_gives_each_worker_its_own(self):
        """[LIFE-05]"""
        self.serve(True, 3, *self.gunicorn("--preload"))

    def test_celery_prefork(self):
        """[LIFE-05] The master's agent stays its own; with restart each worker of the pool has one, too."""
        tasks = """
from celery import Celery, signals
app = Celery(broker="memory://")
signals.worker_ready.connect(tell)
agent.start()"""
        for restart, agents in ((False, 1), (True, 3)):
            with self.subTest(restart=restart):
                self.serve(restart, agents, HOSTS / "bin/celery", "-A", "guest_app", "worker", "--pool", "prefork", "--concurrency", "2",
                           "--without-gossip", "--without-mingle", "--without-heartbeat", start=tasks)

    @unittest.skipUnless((HOSTS / "bin/uwsgi").exists(), f"no uwsgi in {HOSTS}")
    def test_uwsgi_workers_that_load_the_application_have_an_agent_each(self):
        """[LIFE-05] [GUEST-06]"""
        self.serve(False, 2, HOSTS / "bin/uwsgi", "--http-socket", "127.0.0.1:0", "--master", "--processes", "2", "--enable-threads", "--lazy-apps",
                   "--die-on-term", "--wsgi-file", "guest_app.py", "--hook-master-start", "write:ready yes")


if __name__ == "__main__":
    unittest.main()
