"""Runs `recoup demo --once`, interrupts it twice in mid-flight, and lets it end.

Each time it must say that it goes on from here, leave no process behind, and then do so. What the
last run prints, the totals, goes to standard output. Nothing here waits for time to pass: a run is
interrupted when it has settled so many files and is loading the next.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

# Files settled before the demo is interrupted, and, when it goes on, before a worker is killed.
INTERRUPT = 3
KILL = 5


def start(program, data):
    environment = os.environ | {"RECOUP_METRICS_LISTEN": "127.0.0.1:0", "RECOUP_LOG_FORMAT": "text"}
    return subprocess.Popen(
        [program, "demo", "--once", "--json", "--data", data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def settled(demo, count):
    """Reads what the demo logs until it has settled so many files; the lines read."""
    lines = []
    for line in demo.stderr:
        lines.append(line)
        count -= "settled" in line
        if count == 0:
            return lines
    sys.exit("the demo ended before it was interrupted:\n" + "".join(lines))


def children(pid, name):
    """The processes of a name whose parent has this id."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        inside = text[text.index("(") + 1 : text.rindex(")")]
        parent = int(text[text.rindex(")") + 2 :].split()[1])
        if inside == name and parent == pid:
            found.append(int(status.parent.name))
    return found


def main():
    program, data = sys.argv[1:]
    demo = start(program, data)
    settled(demo, INTERRUPT)
    family = children(demo.pid, Path(program).name[:15])
    demo.send_signal(signal.SIGINT)
    _, told = demo.communicate()
    if demo.returncode == 0 or "goes on from here" not in told:
        sys.exit(f"interrupted, it ended with {demo.returncode}:\n{told}")
    left = [pid for pid in family if Path(f"/proc/{pid}").exists()]
    if not family or left:
        sys.exit(f"of its children {family} it left {left} behind")

    demo = start(program, data)
    settled(demo, KILL)
    for pid in children(demo.pid, Path(program).name[:15]):
        os.kill(pid, signal.SIGKILL)
    out, told = demo.communicate()
    if demo.returncode != 0 or "ended with signal: 9" not in told:
        sys.exit(f"after a worker was killed it ended with {demo.returncode}:\n{told}")
    sys.stdout.write(out)


if __name__ == "__main__":
    main()
