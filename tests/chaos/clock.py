#!/usr/bin/env python3
"""Workers whose clocks are wrong by an hour, either way, and one that is put back at work.

    clock.py RECOUP [--seed N] [--keep DIR]

The clock is libfaketime's, preloaded into workers. The server is a static Go program, into which
nothing can be preloaded: that its clock is wrong by an hour is the same as that all others are.
Where libfaketime is not installed this says so and ends well.
"""

import glob
import os

from deployment import Deployment
from scenario import main
from servers import Servers, until
from wire import Client

FILES = 12
PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
TICKS = "loans.all.ticks"


class Clock(Deployment):
    def __init__(self, args, folder, library):
        super().__init__(args.recoup, folder, Servers(folder, 1), args.seed, 60 * FILES, FILES)
        self.library = library
        self.client = Client(self.servers.all[0].port)

    def wrong(self, name, hours):
        """An environment whose clock is off; the file may change it later."""
        path = os.path.join(self.folder, name)
        self.put(name, hours)
        return {**self.env, "LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": path,
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1"}

    def put(self, name, hours):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(f"{hours * 3_600:+d}\n")
        os.replace(path + ".new", path)

    def ticks(self):
        told = self.client.api("STREAM.INFO.loans", {"subjects_filter": TICKS})
        return (told["state"].get("subjects") or {}).get(TICKS, 0)

    def doctor(self):
        """The doctor of a machine whose clock is off names that."""
        for hours in (1, -1):
            ran = self.recoup("doctor", check=False, env=self.wrong("asked", hours))
            said = [line for line in ran.stdout.splitlines() if "clock" in line]
            if ran.returncode != 5 or not said[0].startswith("UNSAFE"):
                raise SystemExit(f"the doctor does not mind {hours} hours:\n{ran.stdout}")
            print(said[0], flush=True)

    def live(self):
        workers = [self.start(number, 2, self.wrong(f"w{number}", hours))
                   for number, hours in ((1, 1), (2, -1))]
        self.load(count=4)
        self.settled()
        # The clock of the first is put back by two hours while it works; that of the second on.
        before = self.ticks()
        self.put("w1", -1)
        self.put("w2", 1)
        self.load(count=4)
        until("rounds to go on", lambda: self.ticks() > before)
        for worker in workers:
            worker.kill()
            worker.start()
        before = self.ticks()
        # And with one worker only, whose clock goes back.
        workers[1].stop()
        self.load(count=2)
        self.settled()
        self.put("w1", -3)
        self.load(count=len(self.files))
        until("rounds to go on with a clock put back", lambda: self.ticks() > before + 1)
        self.settled()
        if any(worker.ended() for worker in workers[:1]):
            raise SystemExit(f"a worker has ended: {workers[0].last_words()}")
        print(f"{self.ticks()} ticks in the end")


def run(args, folder):
    found = [path for place in PLACES for path in glob.glob(place)]
    if not found:
        print("skipped: libfaketime is not installed (apt-get install faketime)")
        return True
    clock = Clock(args, folder, found[0])
    try:
        clock.doctor()
        clock.live()
        return clock.compare()
    finally:
        clock.end()


if __name__ == "__main__":
    main(__doc__, run)
