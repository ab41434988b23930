#!/usr/bin/env python3
"""Runs `recoup batch` over each golden story and compares with what is expected, to the cent.

    run.py RECOUP [STORY...]

Exits with 1 if a story ends otherwise, and prints the command that repeats it.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
COMPARE = os.path.join(HERE, "..", "oracle", "compare.py")


def tell(recoup, story, out):
    """Whether a story ends as expected."""
    folder = os.path.join(HERE, story)
    intake = sorted(name for name in os.listdir(folder) if name.startswith("intake"))
    command = [
        recoup, "batch", "--intake", *(os.path.join(folder, name) for name in intake),
        "--reference", os.path.join(folder, "reference"), "--out", out,
    ]
    batch = subprocess.run(command, capture_output=True, text=True, check=False)
    if batch.returncode:
        print(f"{story}: {' '.join(command)}\n{batch.stderr}")
        return False
    compare = [sys.executable, COMPARE, out, os.path.join(folder, "expected")]
    found = subprocess.run(compare, capture_output=True, text=True, check=False)
    if found.returncode:
        print(f"{story}: {' '.join(command)}\n{found.stdout}{found.stderr}")
    return found.returncode == 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    stories = sys.argv[2:] or sorted(
        name for name in os.listdir(HERE) if os.path.isdir(os.path.join(HERE, name, "expected"))
    )
    failed = []
    for story in stories:
        with tempfile.TemporaryDirectory() as out:
            if not tell(sys.argv[1], story, out):
                failed.append(story)
    print(f"{len(stories) - len(failed)} of {len(stories)} stories end as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
