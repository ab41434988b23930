#!/usr/bin/env python3
"""A worker is killed, and then its connection cut, at each named point, once.

    points.py RECOUP [--seed N] [--keep DIR]

The points are those of `taps.py`: while it starts and takes its shards, while it reads and commits,
while it hands over; and while a snapshot is written, before and after that has its name. After each
the worker is started again, or goes on by itself where only its connection was cut; at the end all
must be as if nothing had happened.
"""

import ctypes
import os
import signal
import struct
import time

from deployment import Deployment
from scenario import main
from servers import Servers, until
from taps import LEAVING, POINTS, STARTING, Tap, Trap

TRIES = 6
FILES = 2 * (len(POINTS) + len(STARTING)) + len(LEAVING) + 1 + 2 * TRIES
CREATED, MOVED_TO = 0x100, 0x80


class Points(Deployment):
    def __init__(self, recoup, folder, seed):
        super().__init__(recoup, folder, Servers(folder, 1), seed, 40 * FILES, FILES)
        self.tap = Tap(self.servers.all[0].port)
        road = {**self.env, "RECOUP_BROKER_URL": f"nats://127.0.0.1:{self.tap.port}"}
        # Snapshots only when it stops: replays are short, and there is one of some length.
        self.road = {**road, "RECOUP_SNAPSHOTS_EVERY_SECONDS": "3600"}
        self.worker = self.start(1, 1, self.road)

    def trap(self, point, deed):
        self.tap.trap = Trap(point, deed)
        return self.tap.trap

    def spring(self, trap):
        until(trap.name, trap.sprung.is_set)
        self.tap.trap = None

    def killed(self, point, during):
        victims = []

        def deed():
            victims.append(self.worker.child)
            victims[0].send_signal(signal.SIGKILL)

        trap = self.trap(point, deed)
        during()
        self.spring(trap)
        # Where it was started meanwhile, what was killed is the one before.
        until("a victim", lambda: victims)
        victims[0].wait()
        print(f"killed {point[0]}", flush=True)
        if self.worker.ended():
            self.worker.start()

    def cut(self, point, during):
        trap = self.trap(point, lambda: None)
        during()
        self.spring(trap)
        print(f"cut {point[0]}", flush=True)

    def again(self):
        if not self.worker.ended():
            self.worker.kill()
        self.worker.start()

    def alive(self):
        if self.worker.ended():
            raise SystemExit(f"the worker has ended: {self.worker.last_words()}")

    def all(self):
        for point in POINTS:
            self.killed(point, self.load)
            self.cut(point, self.load)
            self.alive()
        for point in STARTING:
            self.load()
            self.killed(point, self.again)
            # Cut before it has connected at all it says so and ends, as at any wrong address.
            self.load()
            self.cut(point, self.again)
        for point in LEAVING:
            self.load()
            self.settle()
            self.killed(point, self.worker.child.terminate)
        self.snapshots()

    def settle(self):
        """Waits until nothing waits, starting the worker where it is not there."""
        def mind():
            if self.worker.ended():
                self.worker.start()
        self.settled(mind=mind)

    def snapshots(self):
        """Killed while a snapshot has no name yet, and just when it has one."""
        road = {**self.road, "RECOUP_SNAPSHOTS_EVERY_SECONDS": "1"}
        for mask, name in ((CREATED, "before a snapshot has its name"),
                           (MOVED_TO, "when a snapshot has just got its name")):
            self.worker.kill()
            self.settle_with(road)
            watch = Watch(os.path.join(self.folder, "snapshots", "book"), mask)
            for _ in range(TRIES):
                self.load()
                if self.stops_soon(watch, mask):
                    break
            else:
                raise SystemExit(f"in {TRIES} tries the worker was never stopped {name}")
            self.worker.kill()
            print(f"killed {name}", flush=True)
            self.worker.start()
            self.settle()

    def settle_with(self, env):
        self.worker.env = env
        self.worker.start()
        self.settle()

    def stops_soon(self, watch, mask):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.stopped_at(watch, mask):
                return True
            time.sleep(0.001)
        return False

    def stopped_at(self, watch, mask):
        path = watch.next()
        if not path or (mask == CREATED) != ("#" in path):
            return False
        self.worker.freeze()
        if mask == MOVED_TO or os.path.exists(path):
            return True
        # It was faster: another one will come.
        self.worker.thaw()
        return False


class Watch:
    """What appears in the folders below a folder."""

    def __init__(self, folder, mask):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.watch = self.libc.inotify_init1(os.O_NONBLOCK)
        self.folders = {}
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            self.folders[self.libc.inotify_add_watch(self.watch, path.encode(), mask)] = path
        self.rest = b""

    def next(self):
        """The path of what has appeared, if anything has."""
        if not self.rest:
            try:
                self.rest = os.read(self.watch, 1 << 16)
            except BlockingIOError:
                return None
        which, _, _, length = struct.unpack_from("iIII", self.rest)
        name = self.rest[16:16 + length].rstrip(b"\0").decode()
        self.rest = self.rest[16 + length:]
        return os.path.join(self.folders[which], name)


def run(args, folder):
    points = Points(args.recoup, folder, args.seed)
    try:
        points.all()
        points.settle()
        return points.compare()
    finally:
        points.end()


if __name__ == "__main__":
    main(__doc__, run)
