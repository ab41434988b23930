#!/usr/bin/env python3
"""A server of three that lost acknowledged messages and calls its copy current.

    replicas.py RECOUP [--seed N] [--keep DIR]

One server is stopped, a byte in its copy of a stream is flipped, and it is started again. It finds
its block damaged, begins anew behind what it has lost, and the cluster says that all is well.
`recoup doctor --replicas` must name it; mended as the doctor says, all copies must be the same.
"""

import json
import os
import shutil

from deployment import STREAMS, Deployment
from scenario import main
from servers import Servers, until
from wire import Client

FILES = 4
STREAM = "intake"


class Replicas(Deployment):
    def __init__(self, args, folder):
        super().__init__(args.recoup, folder, Servers(folder, 3), args.seed, 4_000, FILES)

    def doctor(self):
        """What is said about copies."""
        ran = self.recoup("doctor", "--replicas", "--json", check=False)
        found = [json.loads(line) for line in ran.stdout.splitlines()]
        return [one for one in found if one["about"] == "copies"]

    def info(self, server):
        client = Client(server.port)
        info = client.api(f"STREAM.INFO.{STREAM}")
        client.close()
        return info

    def current(self):
        """Whether the cluster says that every copy of every stream is current."""
        try:
            facts = self.recoup("doctor", "--json", check=False).stdout
        except OSError:
            return False
        found = [json.loads(line) for line in facts.splitlines()]
        streams = [one for one in found if one["about"] == "streams"]
        return len(streams) == 5 and all(one["severity"] == "fine" for one in streams)

    def read(self):
        """What is said about copies, if that is said about every stream."""
        found = self.doctor()
        return found if all(any(name in one["found"] for one in found) for name in STREAMS) else []

    def all_fine(self):
        found = self.doctor()
        return len(found) == 5 and all(one["severity"] == "fine" for one in found)

    def damage(self):
        """Flips a byte in the copy of a server that does not lead; that server."""
        leader = self.info(self.servers.all[0])["cluster"]["leader"]
        victim = next(server for server in self.servers.all if server.name != leader)
        victim.stop()
        for root, _, files in os.walk(victim.folder):
            for name in files:
                if name.endswith(".blk") and f"streams/{STREAM}/msgs" in root:
                    self.flip(os.path.join(root, name))
        victim.start()
        return victim

    def flip(self, path):
        with open(path, "r+b") as file:
            middle = os.path.getsize(path) // 2
            file.seek(middle)
            byte = file.read(1)
            file.seek(middle)
            file.write(bytes([byte[0] ^ 0xff]))

    def lost(self):
        victim = self.damage()
        until("the cluster to say that all is well", self.current)
        # What is new, it takes.
        self.load()
        until("the cluster to say that all is well", self.current)
        # Where a server does not answer yet it says that, and nothing of copies.
        found = until("the doctor to have read every copy", self.read)
        bad = [one for one in found if one["severity"] != "fine"]
        print("\n".join(f"{one['found']} → {one['mend']}" for one in bad), flush=True)
        if len(bad) != 1 or victim.name not in bad[0]["found"] or STREAM not in bad[0]["found"]:
            raise SystemExit(f"the doctor does not name {victim.name}: {bad}")
        return victim

    def mend(self, victim):
        victim.stop()
        shutil.rmtree(os.path.join(victim.folder, "jetstream"))
        victim.start()
        until("the cluster to say that all is well", self.current)
        until("copies to be the same", self.all_fine)
        print("mended as the doctor said, every copy is the same")


def run(args, folder):
    replicas = Replicas(args, folder)
    try:
        replicas.load(count=2)
        until("three copies of each stream", replicas.all_fine)
        replicas.mend(replicas.lost())
        return True
    finally:
        replicas.end()


if __name__ == "__main__":
    main(__doc__, run)
