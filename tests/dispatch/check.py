"""Plans and bounds against proven optima: hundreds of small markets, many of them degenerate.

    pip install highspy ortools
    python3 tests/dispatch/check.py

Every market is decided by our solver and decision, to the end of its rounds, and solved to
optimality by HiGHS (linear program: this constraint matrix is totally unimodular, so its optimum
is a whole plan). Some are solved once more by OR-tools' min-cost flow. Checked for each:

    value reached <= optimum <= certified bound

and over all random ones that little is lost.
"""

import json
import os
import random
import subprocess
import sys


HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")


def program():
    given = os.environ.get("BENCH_DISPATCH")
    if given:
        return given
    subprocess.run(
        ["cargo", "build", "--release", "-p", "recoup-bench-dispatch"], cwd=ROOT, check=True
    )
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "release", "bench-dispatch")


def random_market(dice):
    desks, cases = dice.randint(1, 10), dice.randint(1, 150)
    part = dice.choice([0.3, 0.8, 1.5])
    capacity = [max(0, round(cases * part / desks * dice.uniform(0, 2))) for _ in range(desks)]
    terms = [(dice.randint(400_000, 1_400_000), dice.randint(500, 4_000)) for _ in range(desks)]
    rows = []
    for _ in range(cases):
        price = max(1, round(90_000 * dice.lognormvariate(0, 0.9)))
        rows.append((price, [t if dice.random() < 0.6 else None for t in terms]))
    return capacity, rows


def degenerate_markets(dice):
    equal = (1_000_000, 100)
    for cases in (1, 2, 7, 40):
        same = [(1_000, [equal] * 3)] * cases
        yield [1, 2, 3], same
        yield [0, 0, 0], same
        yield [cases] * 3, same
        yield [1, 1, 1], [(1_000, [None] * 3)] * cases
        pair = [equal, (500_000, 10), None]
        yield [2, 0, 1], [(dice.randint(1, 200), pair) for _ in range(cases)]
        yield [1, 1, 1], [(10**9, [equal] * 3)] + [(500, [equal] * 3)] * cases
        yield [1] * 3, [(100, [equal, (1_000_000, 100), (999_999, 99)])] * cases
        yield [3], [(price, [(1_000_000, 0)]) for price in range(1, cases + 1)]
        yield [1, 1], [(50, [(1_000_000, 50), (1_000_000, 49)])] * cases
        yield [2, 2, 2], [(1_000, [(1_000_000 - k, 0) for k in range(3)])] * cases
        yield [10**6] * 2, [(dice.randint(1, 10**6), [equal, (700_000, 0)]) for _ in range(cases)]


def worth(price, term):
    slope, cost = term
    return price * slope - cost * 1_000_000  # cents, at 10^6


def optimum(capacity, rows):
    """The linear program by HiGHS."""
    import highspy
    import numpy

    cost, matrix = [], []
    for case, (price, terms) in enumerate(rows):
        for desk, term in enumerate(terms):
            if term and worth(price, term) > 0:
                cost.append(-worth(price, term) / 1e6)
                matrix.append((case, len(rows) + desk))
    if not cost:
        return 0.0
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(cost), len(rows) + len(capacity)
    program.col_cost_ = numpy.array(cost)
    program.col_lower_ = numpy.zeros(len(cost))
    program.col_upper_ = numpy.ones(len(cost))
    program.row_lower_ = numpy.full(program.num_row_, -highspy.kHighsInf)
    program.row_upper_ = numpy.array([1.0] * len(rows) + [float(c) for c in capacity])
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = numpy.arange(0, 2 * len(cost) + 1, 2)
    program.a_matrix_.index_ = numpy.array([row for pair in matrix for row in pair])
    program.a_matrix_.value_ = numpy.ones(2 * len(cost))
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(program)
    solver.run()
    return -solver.getInfo().objective_function_value


def flow_optimum(capacity, rows):
    """The same by OR-tools, as a min-cost flow; exact in whole numbers."""
    from ortools.graph.python import min_cost_flow

    flow = min_cost_flow.SimpleMinCostFlow()
    cases, desks = len(rows), len(capacity)
    source, sink = cases + desks, cases + desks + 1
    for case, (price, terms) in enumerate(rows):
        flow.add_arc_with_capacity_and_unit_cost(source, case, 1, 0)
        flow.add_arc_with_capacity_and_unit_cost(case, sink, 1, 0)
        for desk, term in enumerate(terms):
            if term and worth(price, term) > 0:
                flow.add_arc_with_capacity_and_unit_cost(
                    case, cases + desk, 1, -worth(price, term)
                )
    for desk, there in enumerate(capacity):
        flow.add_arc_with_capacity_and_unit_cost(cases + desk, sink, there, 0)
    flow.set_node_supply(source, cases)
    flow.set_node_supply(sink, -cases)
    assert flow.solve() == flow.OPTIMAL
    return -flow.optimal_cost() / 1e6


def flow_optima(markets):
    """In a process of its own: both libraries bring HiGHS, and it must not be the same."""
    answer = subprocess.run(
        [sys.executable, __file__, "--flows"], input=json.dumps(markets), capture_output=True,
        text=True, check=True,
    )
    return json.loads(answer.stdout)


def main():
    if sys.argv[1:] == ["--flows"]:
        json.dump([flow_optimum(*market) for market in json.load(sys.stdin)], sys.stdout)
        return
    seed = int(os.environ.get("SEED", "1"))
    dice = random.Random(seed)
    kinds = [("degenerate", market) for market in degenerate_markets(dice)]
    kinds += [("random", random_market(dice)) for _ in range(300)]
    text = []
    for _, (capacity, rows) in kinds:
        text.append(f"{len(capacity)} {len(rows)}")
        text.append(" ".join(map(str, capacity)))
        for price, terms in rows:
            words = [f"{t[0]}:{t[1]}" if t else "-" for t in terms]
            text.append(f"{price} " + " ".join(words))
    answer = subprocess.run(
        [program(), "check"], input="\n".join(text), capture_output=True, text=True, check=True
    ).stdout.split("\n")
    flows = flow_optima([market for _, market in kinds[::5]])
    sums = {}
    for number, ((kind, (capacity, rows)), line) in enumerate(zip(kinds, answer)):
        value, first, bound = (int(word) / 1e12 for word in line.split())
        best = optimum(capacity, rows)
        slack = 1e-6 * max(1.0, abs(best))
        where = f"SEED={seed} market {number} ({kind}): {value} {best} {bound}"
        assert value <= best + slack, where
        assert best <= bound + slack, where
        if number % 5 == 0:
            other = flows[number // 5]
            assert abs(other - best) <= 2 * slack, f"{where}: OR-tools {other}"
        total = sums.setdefault(kind, [0, 0.0, 0.0, 0.0, 0.0, 0.0])
        total[0] += 1
        total[1] += value
        total[2] += first
        total[3] += best
        total[4] += bound
        total[5] = max(total[5], 1 - value / best if best > 0 else 0.0)
    for kind, (count, value, first, best, bound, worst) in sums.items():
        print(
            f"{count} {kind} markets: reached {value / best:.4%} of the optimum"
            f" ({first / best:.4%} in the first round), worst {1 - worst:.3%},"
            f" certified within {1 - first / bound:.3%}"
        )
    count, value, _, best, _, _ = sums["random"]
    assert value >= 0.995 * best, "random markets lose more than half a percent"


if __name__ == "__main__":
    sys.exit(main())
