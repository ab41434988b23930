"""HiGHS and OR-tools on the same instances, value and processor seconds beside ours.

    pip install highspy ortools
    python3 benches/dispatch/peers.py [path of bench-dispatch]

Stops a peer at the first instance that takes it longer than two minutes.
"""

import subprocess
import sys
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/bench-dispatch"
SIZES = [(20_000, 60), (50_000, 100), (100_000, 100), (200_000, 300), (500_000, 300)]
SECONDS_MAX = 120


def instance(cases, desks):
    answer = subprocess.run(
        [PROGRAM, "export", str(cases), str(desks)], capture_output=True, text=True, check=True
    )
    lines = answer.stdout.split("\n")
    _, _, reached, bound, seconds = lines[0].split()
    capacity = [int(word) for word in lines[1].split()]
    rows = [
        [tuple(map(int, word.split(":"))) for word in line.split()] for line in lines[2:2 + cases]
    ]
    return capacity, rows, float(reached), float(bound), float(seconds)


def highs(capacity, rows):
    import highspy
    import numpy

    cost, index = [], []
    for case, pairs in enumerate(rows):
        for desk, value in pairs:
            cost.append(-value)
            index += (case, len(rows) + desk)
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(cost), len(rows) + len(capacity)
    program.col_cost_ = numpy.array(cost, dtype=float)
    program.col_lower_ = numpy.zeros(len(cost))
    program.col_upper_ = numpy.ones(len(cost))
    program.row_lower_ = numpy.full(program.num_row_, -highspy.kHighsInf)
    program.row_upper_ = numpy.array([1.0] * len(rows) + [float(c) for c in capacity])
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = numpy.arange(0, 2 * len(cost) + 1, 2)
    program.a_matrix_.index_ = numpy.array(index)
    program.a_matrix_.value_ = numpy.ones(2 * len(cost))
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", float(10 * SECONDS_MAX))
    solver.passModel(program)
    clock = time.process_time()
    solver.run()
    return -solver.getInfo().objective_function_value, time.process_time() - clock


def flow(capacity, rows):
    import numpy
    from ortools.graph.python import min_cost_flow

    solver = min_cost_flow.SimpleMinCostFlow()
    cases, desks = len(rows), len(capacity)
    source, sink = cases + desks, cases + desks + 1
    arcs = [(source, case, 1, 0) for case in range(cases)]
    arcs += [(case, sink, 1, 0) for case in range(cases)]
    arcs += [(c, cases + desk, 1, -v) for c, pairs in enumerate(rows) for desk, v in pairs]
    arcs += [(cases + desk, sink, there, 0) for desk, there in enumerate(capacity)]
    tails, heads, places, costs = (numpy.array(column) for column in zip(*arcs))
    solver.add_arcs_with_capacity_and_unit_cost(tails, heads, places, costs)
    solver.set_node_supply(source, cases)
    solver.set_node_supply(sink, -cases)
    clock = time.process_time()
    assert solver.solve() == solver.OPTIMAL
    return -solver.optimal_cost(), time.process_time() - clock


def main():
    if len(sys.argv) > 2:
        capacity, rows, *_ = instance(int(sys.argv[3]), int(sys.argv[4]))
        print(*{"highs": highs, "flow": flow}[sys.argv[2]](capacity, rows))
        return
    print("| cases × desks | ours s | ours of optimum | certified | HiGHS s | OR-tools flow s |")
    print("| --- | --- | --- | --- | --- | --- |")
    able = {"highs": True, "flow": True}
    for cases, desks in SIZES:
        *_, reached, bound, seconds = instance(cases, desks)
        optimum, spent = None, {}
        for peer in able:
            if not able[peer]:
                continue
            # A process each: both bring a HiGHS library of their own.
            answer = subprocess.run(
                [sys.executable, __file__, PROGRAM, peer, str(cases), str(desks)],
                capture_output=True, text=True, check=True,
            )
            # What it solves, a peer may say before.
            value, spent[peer] = map(float, answer.stdout.splitlines()[-1].split())
            optimum = optimum or value
            able[peer] = spent[peer] < SECONDS_MAX
        text = [f"{spent[peer]:.1f}" if peer in spent else "–" for peer in able]
        part = f"{reached / optimum:.4%}" if optimum else "–"
        print(
            f"| {cases:,} × {desks} | {seconds:.2f} | {part} | {1 - reached / bound:.1e}"
            f" | {text[0]} | {text[1]} |",
            flush=True,
        )
        if not any(able.values()):
            break


if __name__ == "__main__":
    main()
