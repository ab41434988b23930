"""Draws what the bench prints: gap against evaluations and against rounds, value by capacity,
cost against size, value over a day.

    pip install matplotlib
    python3 benches/dispatch/plot.py [path of bench-dispatch [gap|value|size|day ...]]
"""

import os
import subprocess
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/bench-dispatch"
HERE = os.path.dirname(os.path.abspath(__file__))
matplotlib.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False,
                            "svg.hashsalt": "recoup"})


def lines(*arguments):
    answer = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    return [line for line in answer.stdout.split("\n") if line]


def table(*arguments):
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines(*arguments)]
    return rows[0], rows[2:]


def save(figure, name):
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, name), metadata={"Date": None})


def gap_against_evaluations():
    figure, axes = plot.subplots(figsize=(7, 4))
    for desks, color in ((300, "#1f6f8b"), (1_000, "#c0562f")):
        points = [line.split() for line in lines("trace", 10_000_000, desks)]
        count = [int(words[1]) for words in points]
        gap = [float(words[5]) for words in points]
        axes.loglog(count, gap, marker="o", color=color, label=f"{desks:,} desks")
    axes.axhline(1e-4, color="gray", linestyle=":", linewidth=1)
    axes.set(xlabel="evaluations of the bound, cold start", ylabel="gap to the bound",
             title="10 million cases: one cold round")
    axes.legend(frameon=False)
    save(figure, "gap.svg")


def gap_against_rounds():
    header, rows = table("shards", 1_000_000, 300, 64)
    figure, axes = plot.subplots(figsize=(7, 4))
    for row, color in zip(rows, ("#1f6f8b", "#c0562f", "#d9b26f", "#5a7d4f")):
        reached = [float(cell.rstrip(" %")) for cell in row[1:-1]]
        axes.semilogy(range(1, len(reached) + 1), [max(1e-6, 1 - one / 100) for one in reached],
                      marker="o", color=color, label=f"capacity {row[0]}")
    axes.axhline(5e-3, color="gray", linestyle=":", linewidth=1)
    axes.set(xlabel="rounds", ylabel="part of the bound not reached", xticks=[1, 2, 3],
             title="64 shards: 1 million cases, 300 desks")
    axes.legend(frameon=False)
    save(figure, "rounds.svg")


def value_by_capacity():
    _, rows = table("clear", 1_000_000, 300)
    names = [row[0] for row in rows]
    ours = [float(row[6].rstrip(" %")) for row in rows]
    first = [float(row[8].rstrip(" %")) for row in rows]
    figure, axes = plot.subplots(figsize=(7, 4))
    at = range(len(names))
    axes.bar([x - 0.2 for x in at], ours, 0.4, color="#1f6f8b", label="bid prices, one round")
    axes.bar([x + 0.2 for x in at], first, 0.4, color="#d9b26f", label="first come, first served")
    for x, value in zip(at, first):
        axes.text(x + 0.2, value + 1, f"{value:.0f} %", ha="center")
    for x, value in zip(at, ours):
        axes.text(x - 0.2, value + 1, f"{value:.2f}", ha="center")
    axes.set_xticks(list(at), names)
    axes.set(ylabel="% of the certified bound", ylim=(0, 112), xlabel="capacity, of the cases",
             title="Value reached: 1 million cases, 300 desks")
    axes.legend(frameon=False, loc="lower left")
    save(figure, "value.svg")


def cost_against_size():
    header, rows = table("size", 300)
    figure, axes = plot.subplots(figsize=(7, 4))
    cases = [float(row[0].split()[0]) for row in rows]
    for column, color in ((1, "#d9b26f"), (2, "#c0562f"), (3, "#1f6f8b")):
        axes.loglog(cases, [max(float(row[column]), 0.01) for row in rows], marker="o",
                    color=color, label=header[column].removesuffix(" s"))
    axes.set(xlabel="million cases", ylabel="processor seconds", title="Cost as cases grow")
    axes.legend(frameon=False)
    save(figure, "size.svg")


def value_over_a_day():
    points = {}
    for line in lines("day", 100_000, 60):
        if line.startswith("# "):
            *name, hour, known, blind = line[2:].split()
            points.setdefault(" ".join(name), []).append((int(hour), float(known), float(blind)))
    figure, axes = plot.subplots(1, len(points), figsize=(12, 3.6), sharey=True)
    for part, (name, hours) in zip(axes, points.items()):
        at = [hour for hour, _, _ in hours]
        part.plot(at, [100 * known for _, known, _ in hours], color="#1f6f8b", label="planned")
        part.plot(at, [100 * blind for _, _, blind in hours], color="#d9b26f",
                  label="what waits")
        part.axhline(100, color="gray", linestyle=":", linewidth=1)
        part.set(title=f"capacity {name}", xlabel="hour", xticks=range(0, 25, 6))
    axes[0].set(ylabel="% of the day's bound in hindsight")
    axes[0].legend(frameon=False)
    save(figure, "day.svg")


PICTURES = {"gap": gap_against_evaluations, "rounds": gap_against_rounds,
            "value": value_by_capacity, "size": cost_against_size, "day": value_over_a_day}
for picture in sys.argv[2:] or PICTURES:
    PICTURES[picture]()
