#!/usr/bin/env python3
"""Disks that are full: first where snapshots are kept, then the broker's.

    full.py RECOUP [--seed N] [--keep DIR]

Both are small file systems in memory, which only root may mount; elsewhere this says so and ends
well. A worker must survive both, say so in its log and its metrics, and go on when there is room
again. A nats-server that could not write a message takes no more until it is started again, so
that is done once there is room.
"""

import glob
import os
import subprocess
import urllib.request

from deployment import Deployment
from scenario import main
from servers import Servers, free_port, until

FILES = 12


class Disk:
    """A file system of so many KiB."""

    def __init__(self, folder, size):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        options = ["-t", "tmpfs", "-o", f"size={size}k", "none", folder]
        self.mounted = subprocess.run(["mount", *options], check=False).returncode == 0

    def fill(self):
        """Leaves no room at all."""
        try:
            with open(os.path.join(self.folder, "filler"), "wb", buffering=0) as file:
                while file.write(b"\0" * 4_096):
                    pass
        except OSError:
            pass

    def clear(self):
        os.remove(os.path.join(self.folder, "filler"))

    def end(self):
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=False)


class Full(Deployment):
    def __init__(self, args, folder):
        super().__init__(args.recoup, folder, Servers(os.path.join(folder, "broker"), 1),
                         args.seed, 60 * FILES, FILES)
        self.port = free_port()
        env = {**self.env, "RECOUP_METRICS_LISTEN": f"127.0.0.1:{self.port}",
               "RECOUP_SNAPSHOTS_EVERY_SECONDS": "1"}
        self.worker = self.start(env=env)

    def metric(self, name):
        """The sum of a metric over all stages."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        values = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(name + "{")]
        return sum(float(value) for value in values)

    def alive(self):
        if self.worker.ended():
            raise SystemExit(f"the worker has ended: {self.worker.last_words()}")
        return True

    def snapshots(self, disk):
        self.load(count=2)
        until("a snapshot", lambda: self.worker.said("snapshot stored"))
        disk.fill()
        self.load(count=2)
        until("a snapshot to fail", lambda: self.worker.said("snapshot not stored"))
        self.settled()
        print(f"snapshots not stored: {self.metric('recoup_failed_snapshots_total'):.0f}, "
              "and all was booked meanwhile")
        disk.clear()
        stored = self.worker.said("snapshot stored")
        self.load()
        until("snapshots again", lambda: self.worker.said("snapshot stored") > stored)
        left = glob.glob(os.path.join(self.folder, "snapshots", "**", "*#*"), recursive=True)
        print(f"snapshots stored again; pieces left behind: {len(left)}")
        self.alive()

    def broker(self, disk):
        self.settled()
        self.worker.freeze()
        self.load(count=2)
        disk.fill()
        self.worker.thaw()
        until("the worker to say so", lambda: self.worker.said("commit in doubt"))
        until("the metric to say so", lambda: self.metric("recoup_stalled_seconds") >= 5)
        self.alive()
        line = next(line for line in self.worker.told().splitlines() if "commit in doubt" in line)
        print(f"the worker says: {line[-170:]}")
        disk.clear()
        server = self.servers.all[0]
        server.kill()
        server.start()
        self.servers.wait()
        until("the metric to fall", lambda: self.metric("recoup_stalled_seconds") < 5)
        self.load(count=len(self.files))
        self.settled()
        self.alive()
        print("it goes on where it was")


def run(args, folder):
    disks = [Disk(os.path.join(folder, name), size)
             for name, size in (("snapshots", 8 << 10), ("broker", 64 << 10))]
    full = None
    try:
        if not all(disk.mounted for disk in disks):
            print("skipped: a small file system can be mounted by root only")
            return True
        full = Full(args, folder)
        full.snapshots(disks[0])
        full.broker(disks[1])
        return full.compare()
    finally:
        if full:
            full.end()
        for disk in disks:
            disk.end()


if __name__ == "__main__":
    main(__doc__, run)
