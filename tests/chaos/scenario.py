"""How a scenario is run from the command line: its arguments, its folder, its end.

Every scenario is `SCENARIO.py RECOUP [--seed N] [--keep DIR]`, prints what it did, and exits with 1
where something was not as it should be.
"""

import argparse
import os
import sys
import tempfile


def main(doc, run, **numbers):
    """Runs `run(args, folder)`; `numbers` are further arguments with their defaults."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("recoup")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="a folder to leave everything in")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    name = os.path.basename(sys.argv[0]).removesuffix(".py")
    words = " ".join([word for word in sys.argv[2:]])
    print(f"repeat with: ./x chaos {name} {words}".rstrip(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or folder
        os.makedirs(folder, exist_ok=True)
        same = run(args, folder)
    print("all well" if same else "not as it should be", flush=True)
    sys.exit(0 if same else 1)
