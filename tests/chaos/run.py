#!/usr/bin/env python3
"""Real processes over a real broker, killed, frozen and cut off while they work.

    run.py RECOUP [--seed N] [--events N] [--seconds N] [--servers 1|3] [--workers N] [--keep DIR]

Generates a case of N events, streams it through workers over servers that sync before they answer,
and meanwhile kills, freezes and cuts off what it finds, as the dice of the seed say. Then it lets
everything live, waits until nothing is left to read, and compares: loans, prices, refusals and
statements must be those of the oracle to the cent, no case at two desks, no agency above its
capacity, nothing twice. Exits with 1 otherwise.
"""

import argparse
import csv
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter

from servers import Proxy, Servers, Worker

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "..", "oracle")
STREAMS = ("intake", "reports", "loans", "book", "statements")
KEYS = {"loans": ("loan_id",), "prices": ("loan_id",), "placements": ("loan_id",),
        "statements": ("lender_id", "agency_id", "day", "currency")}


class Chaos:
    """The whole of it: servers, road, workers, and what has happened to them."""

    def __init__(self, args, folder):
        self.args, self.folder, self.dice = args, folder, random.Random(args.seed)
        self.told = Counter()
        self.servers = Servers(folder, args.servers)
        self.proxies = [Proxy(server.port) for server in self.servers.all]
        direct = ",".join(f"nats://127.0.0.1:{server.port}" for server in self.servers.all)
        roads = ",".join(f"nats://127.0.0.1:{proxy.port}" for proxy in self.proxies)
        self.env = {**os.environ, "RECOUP_BROKER_URL": direct, "RECOUP_METRICS_LISTEN": "",
                    "RECOUP_BROKER_REPLICAS": str(args.servers),
                    "RECOUP_SNAPSHOTS_URL": os.path.join(folder, "snapshots"),
                    "RECOUP_SNAPSHOTS_EVERY_SECONDS": "5",
                    "RECOUP_KEYS_FILE": os.path.join(folder, "key")}
        self.roads = {**self.env, "RECOUP_BROKER_URL": roads}
        self.workers, self.loader, self.frozen = [], None, []
        self.pause_max = 0.0

    def recoup(self, *words, check=True):
        command = [self.args.recoup, *words]
        ran = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False,
                             cwd=self.folder)
        if check and ran.returncode:
            raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
        return ran

    def prepare(self):
        case = os.path.join(self.folder, "case")
        generate = [sys.executable, os.path.join(ORACLE, "generate.py"), "--seed",
                    str(self.args.seed), "--events", str(self.args.events), "--out", case,
                    "--priced", "--capacity", str(self.args.events // 20), "--files", "40"]
        subprocess.run(generate, check=True)
        os.makedirs(os.path.join(self.folder, ".recoup"), exist_ok=True)
        self.recoup("init")
        for table in ("curve", "market", "agencies"):
            self.recoup("post", table, os.path.join(case, "reference", f"{table}.csv"))
        self.case = case
        self.files = sorted(glob.glob(os.path.join(case, "intake-*.jsonl")),
                            key=lambda path: int(path.rsplit("-", 1)[1].split(".")[0]))

    def start(self):
        count = self.args.workers
        self.workers = [Worker(self.args.recoup, self.roads, self.folder, number, count)
                        for number in range(1, count + 1)]

    def load(self, wait=False):
        """Loads one file after the other; a loader that was killed is started again."""
        if self.loader and self.loader.poll() is None and not wait:
            return
        if self.loader:
            if self.loader.wait() == 0:
                self.files.pop(0)
            else:
                self.told["loads begun again"] += 1
            self.loader = None
        if self.files:
            log = open(os.path.join(self.folder, "load.log"), "ab")
            command = [self.args.recoup, "load", self.files[0], "--lender", "-", "--json"]
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
        self.load()

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

    def lag(self):
        """Messages that wait, or -1 where nobody can tell."""
        ran = self.recoup("status", "--json", check=False)
        try:
            shards = json.loads(ran.stdout)["shards"]
        except (ValueError, KeyError):
            return -1
        return sum(shard["waiting"] for shard in shards)

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
        began, quiet = time.monotonic(), 0
        while quiet < 3:
            self.mind()
            quiet = quiet + 1 if self.lag() == 0 else 0
            time.sleep(1)
            if time.monotonic() - began > self.args.patience:
                status = self.recoup("status", check=False).stdout
                raise SystemExit(f"input still waits after {self.args.patience} s:\n{status}")
        return time.monotonic() - began

    def rows(self, stream, subject):
        command = [self.args.recoup, "tap", stream, "--subject", subject, "--once", "--json",
                   "--after", "0"]
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True,
                              cwd=self.folder) as tap:
            for line in tap.stdout:
                yield json.loads(line)

    def write(self):
        """What the streams say, as `batch --out` writes it."""
        out = os.path.join(self.folder, "ours")
        os.makedirs(out, exist_ok=True)
        for name, key in KEYS.items():
            stream = "statements" if name == "statements" else "book"
            newest = {}
            for row in self.rows(stream, f"{stream}.*.{name}"):
                place = tuple(row.get(column) for column in key)
                if name == "placements":
                    row["resumed"] = resumed(newest.get(place), row)
                newest[place] = row
            self.file(out, name, list(newest.values()))
        refused = []
        for stream in ("reports", "loans", "book"):
            refused.extend(self.rows(stream, f"{stream}.*.refused"))
        for row in refused:
            row.pop("raw", None)
        self.file(out, "refused", refused)
        self.file(out, "ledger", list(self.rows("book", "book.*.ledger")))
        return out

    def file(self, out, name, rows):
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with open(os.path.join(out, f"{name}.csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def compare(self):
        out, theirs = self.write(), os.path.join(self.folder, "theirs")
        reference = os.path.join(self.case, "reference")
        files = sorted(glob.glob(os.path.join(self.case, "intake-*.jsonl")),
                       key=lambda path: int(path.rsplit("-", 1)[1].split(".")[0]))
        oracle = [sys.executable, os.path.join(ORACLE, "oracle.py"), "--intake", *files,
                  "--reference", reference, "--out", theirs, "--case", "borrower",
                  "--key", os.path.join(self.folder, "key")]
        subprocess.run(oracle, check=True)
        # Who took the money, and for what commission, depends on who had a place.
        if os.path.exists(os.path.join(theirs, "accounts.csv")):
            os.remove(os.path.join(theirs, "accounts.csv"))
        limits = [sys.executable, os.path.join(ORACLE, "limits.py"), out, theirs,
                  "--reference", reference, "--case", "borrower"]
        ledger = [sys.executable, os.path.join(ORACLE, "compare.py"), out, theirs,
                  "--relations", "ledger"]
        answers = [subprocess.run(one, check=False).returncode for one in (limits, ledger)]
        return not any(answers)

    def end(self):
        for worker in self.workers:
            if worker.stopped:
                worker.thaw()
            worker.kill()
        if self.loader:
            self.loader.kill()
        self.servers.end()


def resumed(before, row):
    """Whether a placement goes on because money was taken back: it may be above capacity."""
    if not before or row["status"] != "placed" or before["placement"] != row["placement"]:
        return ""
    return "yes" if before["status"] == "paid" or before["resumed"] else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recoup")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patience", type=int, default=180)
    parser.add_argument("--keep")
    args = parser.parse_args()
    args.recoup = os.path.abspath(args.recoup)
    words = " ".join(sys.argv[2:])
    print(f"repeat with: ./x chaos {words} --seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or folder
        os.makedirs(folder, exist_ok=True)
        chaos = Chaos(args, folder)
        try:
            chaos.prepare()
            chaos.start()
            chaos.rage()
            took = chaos.calm()
            same = chaos.compare()
        finally:
            chaos.end()
        for name, count in sorted(chaos.told.items()):
            print(f"{count:>6} {name}")
        print(f"nothing waited {took:.0f} s after the last misfortune and the last file")
        print("all well" if same else "not as it should be")
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
