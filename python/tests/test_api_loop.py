"""Beyond the old API: context managers, snapshots, a loop of the host's own, asyncio, green threads."""
import asyncio
import logging
import select
import threading
import unittest

from kit import PATIENCE_S, Devserver, Recorder, client_of, log_lines, python, running

from opamp import OpAMPAgent
from opamp.proto import opamp_pb2
from opamp.transport.base import HttpTransport

try:
    import gevent
except ImportError:
    gevent = None
try:
    import eventlet
except ImportError:
    eventlet = None


class Manners(unittest.TestCase):
    def test_as_a_context_manager_it_starts_and_stops(self):
        with Devserver() as server:
            with OpAMPAgent(callbacks=None, client=client_of(server.endpoint)) as agent:
                server.wait("full")
                self.assertTrue(agent.flush(PATIENCE_S))
                agent.poll_now()
                server.wait("heartbeat")
            server.wait("disconnected")
        self.assertRaises(RuntimeError, agent.poll_now)
        self.assertRaises(RuntimeError, agent.flush)

    def test_a_snapshot_tells_how_it_is_doing_before_while_and_after(self):
        with Devserver() as server:
            callbacks = Recorder()
            agent = OpAMPAgent(callbacks=callbacks, client=client_of(server.endpoint))
            self.assertEqual(agent.snapshot(), {})
            with agent:
                callbacks.next("message")
                self.assertEqual((agent.snapshot()["state"], agent.snapshot()["failures"]), ("connected", 0))
            self.assertEqual(agent.snapshot()["state"], "stopped")


class OwnLoop(unittest.TestCase):
    def test_dispatch_calls_back_on_the_calling_thread_when_the_descriptor_is_readable(self):
        """[GUEST-05]"""
        with Devserver() as server:
            server.offer({"a": b"1"})
            callbacks, client = Recorder(), client_of(server.endpoint)
            agent = OpAMPAgent(callbacks=callbacks, client=client)
            self.assertEqual(agent.dispatch(), 0)
            self.assertRaises(RuntimeError, agent.fileno)
            agent.start(thread=False)
            offered = None
            while offered is None:
                self.assertTrue(select.select([agent], [], [], PATIENCE_S)[0])
                agent.dispatch()
                while not callbacks.heard.empty():
                    name, message = callbacks.heard.get()
                    offered = offered or (message.remote_config if name == "message" else None)
            self.assertEqual(callbacks.threads, {threading.get_ident()})
            client.update_remote_config_status(offered.config_hash, opamp_pb2.RemoteConfigStatuses_APPLIED)
            self.assertEqual(client.send(client.build_heartbeat_message()).instance_uid, client.instance_uid)
            server.wait("status=APPLIED:offered")
            agent.stop()
            server.wait("disconnected")
            self.assertEqual(server.problems(), [])

    def test_an_exception_is_logged_but_an_interrupt_gets_through(self):
        class Interrupted(Recorder):
            def on_connect(self, agent, client):
                raise KeyboardInterrupt

        with Devserver() as server:
            agent = OpAMPAgent(callbacks=Interrupted(), client=client_of(server.endpoint))
            agent.start(thread=False)
            with self.assertRaises(KeyboardInterrupt):
                while agent.dispatch(PATIENCE_S):
                    pass
            agent.stop()

    def test_with_a_thread_of_its_own_it_is_not_for_a_loop(self):
        with Devserver() as server, running(client_of(server.endpoint)) as agent:
            self.assertRaises(RuntimeError, agent.dispatch)
            self.assertRaises(RuntimeError, agent.fileno)

    def test_it_starts_again_after_a_stop_and_after_a_stop_inside_a_callback(self):
        """[LIFE-05] Its end was told, though the library's thread may not be gone yet."""
        for thread in (False, True):
            with self.subTest(thread=thread), Devserver() as server, log_lines(level=logging.WARNING) as lines:
                ended = threading.Event()

                class Stopping(Recorder):
                    def on_message(self, agent, client, message):
                        agent.stop()
                        ended.set()

                agent = OpAMPAgent(callbacks=Stopping(), client=client_of(server.endpoint))
                for _ in range(10):
                    ended.clear()
                    agent.start(thread=thread)
                    while not ended.is_set() if thread else agent._run is not None:
                        ended.wait(PATIENCE_S) if thread else agent.dispatch(PATIENCE_S)
                    agent.stop()
                self.assertEqual(lines, [])
                server.wait("disconnected")
                self.assertEqual(server.problems(), [])

    def test_its_goodbye_goes_over_a_transport_of_the_hosts_own(self):
        class Transport(HttpTransport):
            def send(self, *, data, **_):
                sent.append(bytes(data))
                return opamp_pb2.ServerToAgent()

        sent = []
        agent = OpAMPAgent(callbacks=Recorder(), client=client_of("url", transport=Transport()))
        agent.start(thread=False)
        while agent._callbacks.heard.empty():
            agent.dispatch(PATIENCE_S)
        agent.stop()
        self.assertTrue(opamp_pb2.AgentToServer.FromString(sent[-1]).HasField("agent_disconnect"))


class Asyncio(unittest.TestCase):
    def test_events_are_iterated_over_until_the_agent_stops(self):
        async def main(server):
            client = client_of(server.endpoint)
            agent, seen = OpAMPAgent(callbacks=None, client=client, interval=0.1), []
            async for event in agent.events():
                seen.append(event)
                if event.kind == "message" and event.message.remote_config:
                    client.update_remote_config_status(event.message.remote_config.config_hash, opamp_pb2.RemoteConfigStatuses_APPLIED)
                if event.kind == "server_error":
                    asyncio.get_running_loop().run_in_executor(None, agent.stop)
                if len(seen) == 4:
                    server.next({"error_response": {"type": "BadRequest", "error_message": "no"}}, alone=True)
            return seen

        with Devserver() as server:
            server.offer({"a": b"1"})
            server.next({"agent_identification": {"new_instance_uid_hex": "01" * 16}})
            seen = asyncio.run(asyncio.wait_for(main(server), PATIENCE_S))
            server.wait("status=APPLIED:offered")
            server.wait("disconnected")
        kinds = [event.kind for event in seen]
        self.assertEqual(set(kinds) - {"stopped"}, {"connected", "message", "new_uid", "server_error"})
        [uid] = [event.instance_uid for event in seen if event.kind == "new_uid"]
        [refusal] = [event for event in seen if event.kind == "server_error"]
        self.assertEqual((uid, refusal.error_response.error_message, refusal.error.kind), (b"\x01" * 16, "no", "server"))
        self.assertEqual((refusal.error.server_type, refusal.error.server_message), (1, "no"))

    def test_who_waits_for_an_event_is_told_of_a_stop_elsewhere(self):
        async def main(server):
            agent, seen = OpAMPAgent(callbacks=None, client=client_of(server.endpoint)), asyncio.Event()

            async def iterate():
                async for event in agent.events():
                    if event.kind == "message":
                        seen.set()

            waiting = asyncio.ensure_future(iterate())
            await seen.wait()
            await asyncio.sleep(0)
            agent.stop()  # takes what is left on this thread, so that nothing makes the descriptor readable any more
            await waiting

        with Devserver() as server:
            asyncio.run(asyncio.wait_for(main(server), PATIENCE_S))

    def test_several_tasks_share_the_events_and_a_cancelled_one_leaves_them_to_the_others(self):
        async def main(server):
            agent = OpAMPAgent(callbacks=None, client=client_of(server.endpoint), interval=0.05)

            async def first(count):
                async for _ in agent.events():
                    count -= 1
                    if not count:
                        return

            cancelled, *others = [asyncio.ensure_future(first(count)) for count in (10_000, 3, 3)]
            await asyncio.sleep(0)
            await others[0]
            cancelled.cancel()
            await asyncio.wait({cancelled})
            self.assertTrue(cancelled.cancelled())
            await others[1]
            await first(3)
            return agent

        with Devserver() as server:
            agent = asyncio.run(asyncio.wait_for(main(server), PATIENCE_S))
            # In another loop, as the first is closed.
            asyncio.run(asyncio.wait_for(agent.events().__anext__(), PATIENCE_S))
            agent.stop()
            server.wait("disconnected")

    def test_a_loop_that_was_closed_while_a_task_waited_disturbs_no_stop(self):
        with Devserver() as server, log_lines("asyncio"):
            agent, loop = OpAMPAgent(callbacks=None, client=client_of(server.endpoint)), asyncio.new_event_loop()

            async def waiting():
                async for _ in agent.events():
                    pass

            task = loop.create_task(waiting())
            while not (agent._run and agent._run.on_end):
                loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            server.wait("messages>=1")
            agent.stop()
            server.wait("disconnected")
            agent.start()
            agent.stop()
            task._log_destroy_pending = False

    def test_the_loop_does_not_turn_while_nothing_happens(self):
        async def main(server):
            agent = OpAMPAgent(callbacks=None, client=client_of(server.endpoint))
            loop, turns = asyncio.get_running_loop(), 0
            events = agent.events()
            while (await events.__anext__()).kind != "message":
                pass
            waiting = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0)
            original = loop._run_once

            def counted():
                nonlocal turns
                turns += 1
                original()

            loop._run_once = counted
            await asyncio.sleep(0.5)
            agent.poll_now()
            await waiting
            agent.stop()
            return turns

        with Devserver() as server:
            self.assertLess(asyncio.run(main(server)), 20)


GREEN = """
import sys, threading, time
sys.path[:0] = sys.argv[2:]
{patch}
from opamp import OpAMPAgent, OpAMPCallbacks, OpAMPClient
from opamp.proto import opamp_pb2
import queue
heard = []
class Callbacks(OpAMPCallbacks):
    def on_message(self, agent, client, message):
        heard.append(message)
client = OpAMPClient(endpoint=sys.argv[1], agent_identifying_attributes={{"service.name": "green"}}, timeout_millis=10000)
agent = OpAMPAgent(interval=0.2, callbacks=Callbacks(), client=client)
turns = 0
def other():
    global turns
    while True:
        turns += 1
        time.sleep(0.01)
threading.Thread(target=other, daemon=True).start()
agent.start()
limit = time.time() + 30
while len(heard) < 3 and time.time() < limit:
    time.sleep(0.01)
assert turns > 10, turns           # the others went on
assert len(heard) >= 3, heard
assert client.send(client.build_heartbeat_message()).instance_uid == client.instance_uid
done = []
agent.send(client.build_heartbeat_message(), callback=lambda: done.append(1))
while not done and time.time() < limit:
    time.sleep(0.01)
agent.stop()
print("good", len(done))
"""


class GreenThreads(unittest.TestCase):
    @unittest.skipIf(gevent is None, "needs gevent")
    def test_under_gevent_the_other_green_threads_go_on(self):
        with Devserver() as server:
            script = GREEN.format(patch="from gevent import monkey; monkey.patch_all()")
            self.assertEqual(python(script, server.endpoint), "good 1\n")
            server.wait("disconnected")

    @unittest.skipIf(eventlet is None, "needs eventlet")
    def test_under_eventlet_the_other_green_threads_go_on(self):
        with Devserver() as server:
            script = GREEN.format(patch="import eventlet; eventlet.monkey_patch()")
            self.assertEqual(python(script, server.endpoint), "good 1\n")
            server.wait("disconnected")


if __name__ == "__main__":
    unittest.main()
