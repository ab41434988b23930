#!/usr/bin/env python3
"""How long a shard stands still while workers come and go: one, then four, then two of them.

    handover.py RECOUP [--seed N] [--rounds N] [--silent 0|1] [--keep DIR]

Data flows all the time. Each round goes from one worker to four to two and back to one; whoever is
not wanted any more is asked to stop. A shard stands still from the last commit of its old owner
that read something to the first such of its new one, as the server's clock has them. Then a worker
is killed, whose shards must be taken over 15 s later. In the end all must be as if one worker had
done it.
"""

import statistics
import threading

from deployment import Deployment
from pauses import handovers
from scenario import main
from servers import Servers, until

PAUSE_MAX = 2.0


class Handover(Deployment):
    def __init__(self, args, folder):
        super().__init__(args.recoup, folder, Servers(folder, 1), args.seed,
                         3_000 * args.rounds, 60 * args.rounds)
        self.args, self.flowing = args, True

    def flow(self):
        """Loads one file after the other, as fast as that goes; small ones, so without a pause."""
        while self.flowing and self.files:
            self.load()

    def owns(self, names):
        """Whether the shards of the book are of these workers, each of them has one, and no other
        has any."""
        owners = {shard["owner"] for shard in self.status() if shard["stage"] == "book"}
        return owners == set(names)

    def crew(self, number, of):
        """Starts so many workers and stops those that were there."""
        before = [worker for worker in self.workers if not worker.ended()]
        fresh = [self.start(f"{number}-{index}", of, index=index) for index in range(1, of + 1)]
        for worker in fresh:
            until("a worker to be at work", lambda: worker.said("shard recovered"))
        for worker in before:
            worker.stop()
        names = [f"w{number}-{index}" for index in range(1, of + 1)]
        until(f"{', '.join(names)} to have the book", lambda: self.owns(names))

    def start(self, number=1, of=1, env=None, words=(), index=None):
        words = words if index is None else ("--worker", str(index))
        return super().start(number, of, env, words)

    def rounds(self):
        self.crew(0, 1)
        flow = threading.Thread(target=self.flow)
        flow.start()
        number = 0
        for _ in range(self.args.rounds):
            for of in (4, 2, 1):
                number += 1
                self.crew(number, of)
        if self.args.silent:
            self.silent(number)
        self.flowing = False
        flow.join()

    def silent(self, number):
        """Kills the only worker beside another one that was just watching."""
        heir = self.start(99, 2, index=2)
        until("the heir to be at work", lambda: heir.said("shard recovered"))
        for worker in self.workers:
            if worker is not heir and not worker.ended():
                worker.kill()
        until("the heir to have all", lambda: self.owns(["w99"]))


def run(args, folder):
    handover = Handover(args, folder)
    try:
        handover.rounds()
        handover.settled()
        told = handovers(handover.servers.all[0].port)
        print(handover.recoup("status").stdout)
        same = handover.compare(replay=False)
    finally:
        handover.end()
    # The heir of a killed worker waits 15 s on purpose.
    silent = [pause for pause, *_, owner in told if owner == "w99"]
    planned = sorted(pause for pause, *_, owner in told if owner != "w99")
    median = statistics.median(planned)
    print(f"{len(planned)} planned handovers of a shard: median {median:.2f} s, "
          f"longest {planned[-1]:.2f} s; at most {PAUSE_MAX} s is wanted")
    if silent:
        print(f"{len(silent)} shards of a killed worker taken over: longest {max(silent):.1f} s")
    return same


if __name__ == "__main__":
    main(__doc__, run, rounds=1, silent=1)
