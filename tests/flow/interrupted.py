"""Runs `recoup demo --once`, interrupts it in mid-flight, lets it end, and asks it with psql.

Interrupted, it must say that it goes on from here and leave no process behind; started again it
must do so, also when a worker is killed under it. What that run prints, the totals, goes to
standard output. Without `--once` it must stay, and answer to the very line that it prints. Nothing
here waits for time to pass: a run is interrupted when it has settled so many files and is loading
the next.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

# Files settled before the demo is interrupted, and, when it goes on, before a worker is killed.
INTERRUPT = 3
KILL = 5


def start(program, data, *words):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = f"127.0.0.1:{taken.getsockname()[1]}"
    settings = {"METRICS_LISTEN": "127.0.0.1:0", "SERVE_LISTEN": free, "LOG_FORMAT": "text"}
    environment = os.environ | {f"RECOUP_{name}": value for name, value in settings.items()}
    return subprocess.Popen(
        [program, "demo", "--data", data, *words],
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


def stop(demo, program):
    """Interrupts a demo; its exit code and what it had to say."""
    family = children(demo.pid, Path(program).name[:15])
    demo.send_signal(signal.SIGINT)
    out, told = demo.communicate()
    left = [pid for pid in family if Path(f"/proc/{pid}").exists()]
    if not family or left:
        sys.exit(f"of its children {family} it left {left} behind")
    return demo.returncode, out + told


def ask(line, query):
    """What the printed line answers to a query."""
    asked = ["sh", "-c", f'{line} -X -At -c "$0"', query]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


def lives(program, data):
    """Everything is left running, and the line that is printed asks it."""
    demo = start(program, data)
    told = []
    for line in demo.stdout:
        told.append(line)
        if line.startswith("stop"):
            break
    lines = [line.removeprefix("ask").strip() for line in told if line.startswith("ask")]
    if not lines or "psql" not in lines[0]:
        sys.exit("it names no line to ask with:\n" + "".join(told))
    if shutil.which("psql"):
        answer = ask(lines[0], "SELECT count(*), count(DISTINCT lender_id) FROM loans")
        if answer.stdout != "30000|1\n":
            sys.exit(f"{lines[0]} answered {answer.stdout}{answer.stderr}")
    elif "CI" in os.environ:
        sys.exit("psql is missing")
    code, told = stop(demo, program)
    if code != 0:
        sys.exit(f"asked to stop, it ended with {code}:\n{told}")


def main():
    program, data = sys.argv[1:]
    demo = start(program, data, "--once", "--json")
    settled(demo, INTERRUPT)
    code, told = stop(demo, program)
    if code == 0 or "goes on from here" not in told:
        sys.exit(f"interrupted, it ended with {code}:\n{told}")

    demo = start(program, data, "--once", "--json")
    settled(demo, KILL)
    for pid in children(demo.pid, Path(program).name[:15]):
        os.kill(pid, signal.SIGKILL)
    out, told = demo.communicate()
    if demo.returncode != 0 or "ended with signal: 9" not in told:
        sys.exit(f"after a worker was killed it ended with {demo.returncode}:\n{told}")
    lives(program, data)
    sys.stdout.write(out)


if __name__ == "__main__":
    main()
