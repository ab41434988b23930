"""A deployment to make chaos with: servers, a generated case, workers, and what must come of it.

What came of it is compared with the oracle, which knows the deployment's key: which of two reports
with one id counts depends on their digests, and those on the tokens of persons and phones.
"""

import base64
import csv
import glob
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter

from servers import Worker, until

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "..", "oracle")
sys.path.insert(0, ORACLE)
from reading import Refused, read  # noqa: E402

STREAMS = ("intake", "reports", "loans", "book", "statements")
KEYS = {"loans": ("loan_id",), "prices": ("loan_id",), "placements": ("loan_id",),
        "statements": ("lender_id", "agency_id", "day", "currency")}
# A scenario must have ended after so many seconds, unless it says otherwise.
BOUND = 900


class Deployment:
    """Streams over these servers, and a case of so many events in so many files."""

    def __init__(self, recoup, folder, servers, seed=1, events=6_000, files=40):
        self.binary, self.folder, self.servers = os.path.abspath(recoup), folder, servers
        self.seed, self.events = seed, events
        urls = ",".join(f"nats://127.0.0.1:{server.port}" for server in servers.all)
        self.env = {**os.environ, "RECOUP_BROKER_URL": urls, "RECOUP_METRICS_LISTEN": "",
                    "RECOUP_BROKER_REPLICAS": str(len(servers.all)),
                    "RECOUP_SNAPSHOTS_URL": os.path.join(folder, "snapshots"),
                    "RECOUP_SNAPSHOTS_EVERY_SECONDS": "5",
                    "RECOUP_KEYS_FILE": os.path.join(folder, "key")}
        self.case = os.path.join(folder, "case")
        self.workers = []
        signal.signal(signal.SIGALRM, self.too_long)
        signal.alarm(BOUND)
        self.prepare(files)

    def bound(self, seconds):
        """From now on it must end within so many seconds."""
        signal.alarm(seconds)

    def too_long(self, _signal, frame):
        """Nothing may hang: says where it stands, and how every log ends."""
        print("this takes too long; it stands here:", flush=True)
        traceback.print_stack(frame, file=sys.stdout)
        for path in sorted(glob.glob(os.path.join(self.folder, "**", "*.log"), recursive=True)):
            with open(path, "rb") as log:
                log.seek(max(0, os.path.getsize(path) - 2_000))
                print(f"== {path}\n{log.read().decode(errors='replace')}", flush=True)
        raise SystemExit("it took too long")

    def recoup(self, *words, check=True, env=None):
        command = [self.binary, *words]
        ran = subprocess.run(command, env=env or self.env, capture_output=True, text=True,
                             check=False, cwd=self.folder)
        if check and ran.returncode:
            raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
        return ran

    def prepare(self, files):
        generate = [sys.executable, os.path.join(ORACLE, "generate.py"), "--seed",
                    str(self.seed), "--events", str(self.events), "--out", self.case, "--owned",
                    "--priced", "--capacity", str(self.events // 20), "--files", str(files)]
        subprocess.run(generate, check=True)
        os.makedirs(os.path.join(self.folder, ".recoup"), exist_ok=True)
        # A cluster that has just begun takes a while to make a stream; init may be said again.
        until("the servers to take the streams",
              lambda: self.recoup("init", check=False).returncode == 0)
        for table in ("curve", "market", "agencies"):
            self.recoup("post", table, os.path.join(self.case, "reference", f"{table}.csv"))
        self.files = sorted(glob.glob(os.path.join(self.case, "intake-*.jsonl")),
                            key=lambda path: int(path.rsplit("-", 1)[1].split(".")[0]))
        self.all_files = list(self.files)

    def start(self, number=1, of=1, env=None, words=()):
        """Another worker."""
        worker = Worker(self.binary, env or self.env, self.folder, number, of, words)
        self.workers.append(worker)
        return worker

    def load(self, env=None, count=1):
        """Loads the next files and waits until they are stored."""
        for _ in range(count):
            self.recoup("load", self.files[0], "--lender", "-", "--json", env=env)
            self.files.pop(0)

    def status(self):
        """Where every shard stands; nothing where nobody can tell."""
        ran = self.recoup("status", "--json", check=False)
        try:
            return json.loads(ran.stdout)["shards"]
        except (ValueError, KeyError):
            return []

    def lag(self):
        """Messages that wait, or -1 where nobody can tell."""
        shards = self.status()
        return sum(shard["waiting"] for shard in shards) if shards else -1

    def settled(self, patience=180, mind=lambda: None):
        """How long until nothing waits, three looks in a row."""
        began, quiet = time.monotonic(), 0
        while quiet < 3:
            mind()
            quiet = quiet + 1 if self.lag() == 0 else 0
            took = time.monotonic() - began
            if took > patience:
                status = self.recoup("status", check=False).stdout
                raise SystemExit(f"input still waits after {patience} s:\n{status}")
            time.sleep(0.3)
        return took

    def rows(self, stream, subject):
        command = [self.binary, "tap", stream, "--subject", subject, "--once", "--json",
                   "--after", "0"]
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True,
                              cwd=self.folder) as tap:
            for line in tap.stdout:
                yield json.loads(line)

    def write(self):
        """What the streams say, as `batch --out` writes it; and what is wrong about it."""
        out, wrong = os.path.join(self.folder, "ours"), []
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
        ledger = list(self.rows("book", "book.*.ledger"))
        self.file(out, "ledger", ledger)
        twice = [line for line, n in Counter(line["entry_id"] for line in ledger).items() if n > 1]
        wrong.extend(f"ledger line {line} is there twice" for line in twice[:5])
        return out, wrong

    def file(self, out, name, rows):
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with open(os.path.join(out, f"{name}.csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def poison(self):
        """What is wrong about the rows that nobody could read: they and their very bytes, each
        once, opened with the key, must be those that the oracle cannot read."""
        ran = self.recoup("refused", "--open", "--json", "--last", "100000000")
        opened = [json.loads(line) for line in ran.stdout.splitlines()]
        ours = Counter((one["reason"], one.get("text") or one.get("base64") or one.get("closed"))
                       for one in opened if one["stream"] == "reports")
        theirs = Counter(poison(self.all_files[:len(self.all_files) - len(self.files)]))
        wrong = [f"refused, and should not be: {one}" for one in list(ours - theirs)[:5]]
        wrong += [f"not refused, or not with these bytes: {one}"
                  for one in list(theirs - ours)[:5]]
        print(f"{sum(ours.values())} rows refused with the bytes that came in")
        return wrong

    def replayed(self):
        """Every shard replays all it ever read, without a snapshot, and must say what its cursor
        says was said: a worker that finds another digest ends."""
        for worker in self.workers:
            worker.stop()
        empty = {**self.env, "RECOUP_SNAPSHOTS_URL": os.path.join(self.folder, "none")}
        # What has no memory replays nothing.
        before = [one for one in self.status() if one["stage"] != "normalize"]
        worker, deadline = self.start(9, 9, empty), time.monotonic() + 600
        normalize = 'shard recovered stage="normalize"'
        while worker.said("shard recovered") - worker.said(normalize) < len(before):
            if worker.ended() or time.monotonic() > deadline:
                return [f"replay from the beginning: {worker.last_words()}"]
            time.sleep(0.2)
        print(f"{len(before)} shards replayed from the beginning say what they said")
        return []

    def compare(self, replay=True):
        """Whether all is as it must be; says what is not."""
        (out, wrong), theirs = self.write(), os.path.join(self.folder, "theirs")
        wrong += self.poison()
        reference = os.path.join(self.case, "reference")
        loaded = self.all_files[:len(self.all_files) - len(self.files)]
        oracle = [sys.executable, os.path.join(ORACLE, "oracle.py"), "--intake", *loaded,
                  "--reference", reference, "--out", theirs, "--case", "borrower",
                  "--key", os.path.join(self.folder, "key")]
        subprocess.run(oracle, check=True)
        # Who took the money, and for what commission, depends on who had a place.
        if os.path.exists(os.path.join(theirs, "accounts.csv")):
            os.remove(os.path.join(theirs, "accounts.csv"))
        limits = [sys.executable, os.path.join(ORACLE, "limits.py"), out, theirs,
                  "--reference", reference, "--case", "borrower", "--any-order"]
        ledger = [sys.executable, os.path.join(ORACLE, "compare.py"), out, theirs,
                  "--relations", "ledger"]
        answers = [subprocess.run(one, check=False).returncode for one in (limits, ledger)]
        if replay:
            wrong += self.replayed()
        for one in wrong:
            print(one)
        return not any(answers) and not wrong

    def end(self):
        for worker in self.workers:
            if worker.stopped:
                worker.thaw()
            worker.kill()
        self.servers.end()


def resumed(before, row):
    """Whether a placement goes on because money was taken back: it may be above capacity."""
    if not before or row["status"] != "placed" or before["placement"] != row["placement"]:
        return ""
    return "yes" if before["status"] == "paid" or before["resumed"] else ""


def poison(files):
    """The rows of files that the oracle cannot read: why, and their bytes as text."""
    for path in files:
        with open(path, "rb") as file:
            for line in file:
                line = line.rstrip(b"\r\n")
                if not line.strip():
                    continue
                try:
                    read(line)
                except Refused as no:
                    yield no.reason, text(line)


def text(line):
    try:
        return line.decode()
    except UnicodeDecodeError:
        return base64.b64encode(line).decode()
