"""kazoo's side of the recipe benchmark; ../README.md says what is measured, and
../src/bin/bench-recipes/contestant.rs how the benchmark talks to it.

    python kazoo_recipes.py CONNECT ROOT
"""

import logging
import queue
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.recipe.election import Election
from kazoo.recipe.lock import Lock

SETTLE = 0.01


class Waiter:
    """A thread that does one thing after the other."""

    def __init__(self):
        self._tasks = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            self._tasks.get()()

    def do(self, task):
        self._tasks.put(task)


class Recipes:
    def __init__(self, connect, root):
        self.connect, self.root = connect, root
        self.one, self.other = self.start(), self.start()
        self.waiter, self.leader = Waiter(), Waiter()

    def start(self):
        client = KazooClient(hosts=self.connect)
        client.start()
        return client

    def uncontended(self, millis):
        lock, nanos = Lock(self.one, self.root + "/lock"), []
        start = time.perf_counter_ns()
        end = start + millis * 1_000_000
        while start < end:
            lock.acquire()
            lock.release()
            now = time.perf_counter_ns()
            nanos.append(now - start)
            start = now
        return nanos

    def handoff(self, times):
        mine, theirs = (Lock(client, self.root + "/lock") for client in (self.one, self.other))
        nanos = []
        for _ in range(times):
            acquired = queue.Queue()

            def wait():
                theirs.acquire()
                acquired.put(time.perf_counter_ns())
                theirs.release()

            mine.acquire()
            self.waiter.do(wait)
            self.until(2, "/lock")
            released = time.perf_counter_ns()
            mine.release()
            nanos.append(acquired.get() - released)
            self.until(0, "/lock")
        return nanos

    def failover(self, times):
        """By its election, which is what it has for a latch."""
        nanos = []
        for _ in range(times):
            doomed, leads, done = self.start(), queue.Queue(), threading.Event()
            first, gone = threading.Event(), threading.Event()

            def lead_first():
                try:
                    Election(doomed, self.root + "/leader").run(lambda: (first.set(), gone.wait()))
                except Exception:
                    pass  # its client has been closed

            def lead_next():
                leads.put(time.perf_counter_ns())
                done.wait()

            self.leader.do(lead_first)
            first.wait()
            successor = Election(self.other, self.root + "/leader")
            self.waiter.do(lambda: successor.run(lead_next))
            self.until(2, "/leader")
            closed = time.perf_counter_ns()
            doomed.stop()
            nanos.append(leads.get() - closed)
            gone.set()
            done.set()
            doomed.close()
            self.until(0, "/leader")
        return nanos

    def until(self, count, path):
        """Until as many are in line, and have had the time to look who is ahead of them."""
        while len(self.one.get_children(self.root + path)) != count:
            time.sleep(0.001)
        if count:
            time.sleep(SETTLE)


def main():
    logging.disable(logging.CRITICAL)
    recipes = Recipes(*sys.argv[1:3])
    print("ready", flush=True)
    for order in sys.stdin:
        workload, amount = order.split()
        print(*getattr(recipes, workload)(int(amount)), flush=True)


main()
