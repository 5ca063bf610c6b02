"""Does with kazoo's recipes what it is told on standard input, line by line:
`HANDLE VERB ARGUMENTS...`. Each handle is a thread of its own; its answer is
`HANDLE ok VALUE` or `HANDLE error WHY`. The end of the input is the end of the process.
"""

import queue
import sys
import threading

from kazoo.client import KazooClient
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.counter import Counter
from kazoo.recipe.election import Election
from kazoo.recipe.lock import Lock, ReadLock, Semaphore, WriteLock
from kazoo.recipe.party import Party, ShallowParty
from kazoo.recipe.queue import LockingQueue, Queue

_output = threading.Lock()


def say(line):
    with _output:
        print(line, flush=True)


class Handle(threading.Thread):
    """What one handle holds, and what it can be told to do."""

    def __init__(self, client, name):
        super().__init__(daemon=True)
        self.client, self.name, self.held = client, name, None
        self.barrier = self.party = self.leading = None
        self.commands = queue.Queue()
        self.start()

    def run(self):
        while True:
            verb, *arguments = self.commands.get()
            try:
                value = getattr(self, verb)(*arguments)
                say(f"{self.name} ok {'' if value is None else value}")
            except Exception as error:  # whatever it is, the other side wants to know
                say(f"{self.name} error {error!r}")

    def _lock(self, kind, path, size="1"):
        if kind == "mutex":
            return Lock(self.client, path)
        if kind == "mutex-patterns":
            return Lock(self.client, path, extra_lock_patterns=["-lock-"])
        if kind == "read":
            return ReadLock(self.client, path)
        if kind == "write":
            return WriteLock(self.client, path)
        if kind == "semaphore":
            return Semaphore(self.client, path, max_leases=int(size))
        raise ValueError(kind)

    def acquire(self, kind, path, size="1"):
        self.held = self._lock(kind, path, size)
        self.held.acquire()

    def lead(self, _kind, path, identifier):
        election = Election(self.client, path, identifier)
        leading, self.leading = threading.Event(), threading.Event()

        def term():
            leading.set()
            self.leading.wait()

        threading.Thread(target=election.run, args=(term,), daemon=True).start()
        leading.wait()

    def leader(self, _kind, path):
        return Election(self.client, path).contenders()[0]

    def release(self):
        if self.leading:
            self.leading.set()
            self.leading = None
        else:
            self.held.release()

    def torture(self, kind, path, counter, rounds):
        for _ in range(int(rounds)):
            lock = self._lock(kind, path)
            lock.acquire()
            number = int(self.client.get(counter)[0])
            self.client.set(counter, str(number + 1).encode())
            lock.release()

    def enter(self, _kind, path, size):
        self.barrier = DoubleBarrier(self.client, path, int(size))
        self.barrier.enter()

    def leave(self):
        self.barrier.leave()

    def add(self, kind, path, delta):
        counter = Counter(self.client, path, support_curator=kind == "count")
        counter += int(delta)
        return counter.post_value

    def put(self, kind, path, data):
        kinds = {"queue": Queue, "locking": LockingQueue}
        kinds[kind](self.client, path).put(data.encode())

    def take(self, kind, path):
        if kind == "queue":
            taker = Queue(self.client, path)
            while True:
                data = taker.get()
                if data is not None:
                    return data.decode()
        taker = LockingQueue(self.client, path)
        data = taker.get(timeout=20)
        taker.consume()
        return data.decode()

    def join(self, kind, path, identifier, _data=None):
        kinds = {"group": Party, "shallow": ShallowParty}
        self.party = kinds[kind](self.client, path, identifier)
        self.party.join()

    def quit(self):
        self.party.leave()

    def members(self):
        return ",".join(sorted(self.party))


def main():
    client = KazooClient(hosts=sys.argv[1], timeout=15.0)
    client.start()
    say("ready")
    handles = {}
    for line in sys.stdin:
        name, *command = line.split()
        if name not in handles:
            handles[name] = Handle(client, name)
        handles[name].commands.put(command)
    client.stop()


main()
