#!/usr/bin/env python3
"""Streams that are edited, purged and removed under a running worker.

    edits.py RECOUP [--seed N] [--keep DIR]

What can be mended is: the worker says what is wrong and ends, the stream is put right, another
worker goes on, and in the end all is as if nothing had happened. What is lost is said as well, and
nobody goes on over it (A14).
"""

import os
import shutil

from deployment import STREAMS, Deployment
from scenario import main
from servers import Servers, until
from wire import Client

FILES = 12


class Edits(Deployment):
    def __init__(self, args, folder):
        super().__init__(args.recoup, folder, Servers(folder, 1), args.seed, 60 * FILES, FILES)
        self.client = Client(self.servers.all[0].port)
        self.worker = self.start()

    def edit(self, stream, **change):
        """Changes settings of a stream; they as they were before."""
        config = self.client.api(f"STREAM.INFO.{stream}")["config"]
        told = self.client.api(f"STREAM.UPDATE.{stream}", {**config, **change})
        if "error" in told:
            raise SystemExit(f"{stream} {change}: {told['error']}")
        return config

    def working(self):
        if self.worker.ended():
            self.worker.start()
        until("the worker to be at work", lambda: self.worker.said("shard recovered"))

    def stops(self, code, words):
        """Waits until the worker has ended; it must have said why."""
        until(f"the worker to end over: {words}", self.worker.ended)
        ended, told = self.worker.child.returncode, self.worker.told()
        if ended != code or words not in told:
            raise SystemExit(f"ended with {ended}, not {code}, and not by: {words}\n{told}")
        line = next(line for line in told.splitlines()[::-1] if words in line)
        print(f"ended with {code}: {line[-150:]}", flush=True)

    def mended(self, what, stream, words, **change):
        """An edit that a person can take back."""
        print(f"{what} of {stream}", flush=True)
        before = self.edit(stream, **change)
        if self.files:
            # A load may be refused as well: then it is for later.
            if not self.recoup("load", self.files[0], "--lender", "-", check=False).returncode:
                self.files.pop(0)
        self.stops(5, words)
        self.client.api(f"STREAM.UPDATE.{stream}", before)
        self.working()

    def consumers_deleted(self):
        print("every consumer deleted", flush=True)
        for stream in STREAMS:
            for name in self.client.api(f"CONSUMER.NAMES.{stream}").get("consumers") or []:
                self.client.api(f"CONSUMER.DELETE.{stream}.{name}")
        self.load()
        self.settled()
        if self.worker.ended():
            raise SystemExit(f"the worker has ended: {self.worker.last_words()}")

    def held(self, stream):
        return self.client.api(f"STREAM.INFO.{stream}")["state"]["messages"]

    def mends(self):
        self.working()
        self.load(count=2)
        self.consumers_deleted()
        self.edit("book", description="a word about it")
        self.mended("atomic batches", "reports", "takes no atomic batches", allow_atomic=False)
        self.mended("a limit", "book", "has a limit", max_msgs=self.held("book") + 2)
        self.mended("an age", "statements", "removes messages by age", max_age=3_600_000_000_000)
        self.mended("what is discarded", "loans", "discards old messages", discard="old")
        self.load(count=len(self.files))
        self.settled()

    def anew(self):
        """Another deployment over the same server."""
        self.worker.kill()
        for stream in STREAMS:
            self.client.api(f"STREAM.DELETE.{stream}")
        shutil.rmtree(os.path.join(self.folder, "snapshots"), ignore_errors=True)
        self.prepare(FILES)
        self.worker.start()
        self.working()
        self.load()
        self.settled()

    def lost(self, what, deed, code, words, again=1):
        """What nobody can go on over: not the worker, and not another one."""
        self.anew()
        print(what, flush=True)
        deed()
        self.stops(code, words)
        self.worker.start()
        until("another worker to end", self.worker.ended)
        if self.worker.child.returncode != again:
            raise SystemExit(f"another ended with {self.worker.child.returncode}:\n"
                             f"{self.worker.told()}")

    def intake_purged(self):
        self.worker.freeze()
        self.load()
        self.client.api("STREAM.PURGE.intake")
        self.worker.thaw()

    def made_anew(self):
        # Frozen, so that it does not see the moment in which there is none.
        self.worker.freeze()
        config = self.client.api("STREAM.INFO.intake")["config"]
        self.client.api("STREAM.DELETE.intake")
        self.client.api("STREAM.CREATE.intake", config)
        self.worker.thaw()

    def loses(self):
        purge = self.client.api
        self.lost("records purged that nobody has read", self.intake_purged, 1, "lost history")
        self.lost("a stream with cursors purged", lambda: purge("STREAM.PURGE.book"), 1,
                  "no cursor")
        self.lost("a stream removed", lambda: purge("STREAM.DELETE.loans"), 5, "is missing",
                  again=5)
        self.lost("a stream removed and made anew", self.made_anew, 1, "lost history")


def run(args, folder):
    edits = Edits(args, folder)
    try:
        edits.mends()
        same = edits.compare()
        edits.workers[1:] = []
        edits.loses()
        return same
    finally:
        edits.end()


if __name__ == "__main__":
    main(__doc__, run)
