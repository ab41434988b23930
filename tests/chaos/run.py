#!/usr/bin/env python3
"""Real processes over a real broker, killed, frozen and cut off while they work.

    run.py RECOUP [--seed N] [--events N] [--seconds N] [--servers 1|3] [--workers N] [--keep DIR]

Generates a case of N events, streams it through workers over servers that sync before they answer,
and meanwhile kills, freezes and cuts off what it finds, as the dice of the seed say. Then it lets
everything live, waits until nothing is left to read, and compares: loans, prices, refusals and
statements must be those of the oracle to the cent, no case at two desks, no agency above its
capacity, no ledger line twice, what was refused as unreadable the very bytes that were, and a
replay of every shard from the beginning must say what was said. Exits with 1 otherwise.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter

from deployment import STREAMS, Deployment
from pauses import longest
from servers import Proxy, Servers


class Chaos(Deployment):
    """A deployment, and what has happened to it."""

    def __init__(self, args, folder):
        self.args, self.dice, self.told = args, random.Random(args.seed), Counter()
        super().__init__(args.recoup, folder, Servers(folder, args.servers), args.seed,
                         args.events, args.files)
        self.proxies = [Proxy(server.port) for server in self.servers.all]
        roads = ",".join(f"nats://127.0.0.1:{proxy.port}" for proxy in self.proxies)
        self.roads = {**self.env, "RECOUP_BROKER_URL": roads}
        self.loader, self.frozen = None, []
        for number in range(1, args.workers + 1):
            self.start(number, args.workers, self.roads)

    def load_on(self):
        """Loads one file after the other; a loader that was killed is started again."""
        if self.loader and self.loader.poll() is None:
            return
        if self.loader:
            if self.loader.wait() == 0:
                self.files.pop(0)
            else:
                self.told["loads begun again"] += 1
            self.loader = None
        if self.files:
            log = open(os.path.join(self.folder, "load.log"), "ab")
            command = [self.binary, "load", self.files[0], "--lender", "-", "--json"]
            self.loader = subprocess.Popen(command, env=self.roads, stdout=log, stderr=log,
                                           cwd=self.folder)

    def mind(self):
        """Starts again what has ended."""
        for worker in self.workers:
            if worker.ended():
                self.told["workers started again"] += 1
                worker.start()
        for server in self.servers.all:
            if not server.child:
                server.start()
        now = time.monotonic()
        for worker, until in self.frozen[:]:
            if now >= until:
                self.frozen.remove((worker, until))
                if not worker.ended():
                    worker.thaw()
        self.load_on()

    def misfortune(self):
        """One thing that goes wrong."""
        kind = self.dice.randrange(12)
        worker = self.dice.choice(self.workers)
        if kind < 4 and not worker.stopped:
            worker.kill()
            self.told["workers killed"] += 1
        elif kind == 4 and not worker.stopped and len(self.frozen) + 1 < len(self.workers):
            # Past the time after which others take its shards.
            worker.freeze()
            self.frozen.append((worker, time.monotonic() + self.dice.uniform(17, 22)))
            self.told["workers frozen past takeover"] += 1
        elif kind == 5:
            stream = self.dice.choice(STREAMS)
            self.servers.leader(stream).kill()
            self.told["servers killed"] += 1
        elif kind == 6 and len(self.servers.all) == 3:
            for server in self.dice.sample(self.servers.all, 2):
                server.kill()
            self.told["two of three servers killed"] += 1
        elif kind in (7, 8):
            for proxy in self.proxies:
                proxy.reset()
            self.told["connections reset"] += 1
        elif kind == 9:
            for proxy in self.proxies:
                proxy.held = True
            time.sleep(self.dice.uniform(0.5, 8))
            for proxy in self.proxies:
                proxy.held = False
            self.told["partitions"] += 1
        elif kind == 10 and self.loader and self.loader.poll() is None:
            self.loader.kill()
            self.told["loaders killed"] += 1

    def rage(self):
        until = time.monotonic() + self.args.seconds
        while time.monotonic() < until:
            self.mind()
            self.misfortune()
            time.sleep(self.dice.uniform(0.3, 3))

    def calm(self):
        """Everything lives; how long until nothing waits."""
        while self.files or self.loader:
            self.mind()
            time.sleep(0.1)
        while self.frozen:
            self.mind()
            time.sleep(0.1)
        self.mind()
        return self.settled(self.args.patience, self.mind)

    def end(self):
        if self.loader:
            self.loader.kill()
        super().end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recoup")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--patience", type=int, default=180)
    parser.add_argument("--keep")
    args = parser.parse_args()
    words = " ".join(sys.argv[2:])
    print(f"repeat with: ./x chaos {words} --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or folder
        os.makedirs(folder, exist_ok=True)
        chaos = Chaos(args, folder)
        # Rage, as long again to load what is left, patience, and a replay of everything.
        chaos.bound(600 + 3 * args.seconds + args.patience + args.events // 100)
        try:
            chaos.rage()
            took = chaos.calm()
            pause = longest(chaos.servers.all[0].port)
            same = chaos.compare()
        finally:
            chaos.end()
        for name, count in sorted(chaos.told.items()):
            print(f"{count:>6} {name}")
        print(f"nothing waited {took:.0f} s after the last misfortune and the last file")
        print(f"no shard of the book stood still for longer than {pause:.1f} s between two commits")
        print("all well" if same else "not as it should be")
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
