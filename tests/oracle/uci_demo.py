"""Checks what `recoup demo --once --json` printed, on standard input, against the data's totals."""

import json
import sys
from decimal import Decimal
from pathlib import Path


def main():
    told = json.loads(sys.stdin.read())
    known = json.loads(Path(__file__).with_name("uci_totals.json").read_text())
    expected = {
        "accounts": known["accounts"],
        "owed": known["outstanding"],
        "movements": known["payments"],
        "collected": known["collected"],
        "overpaid": known["over"],
        "refused": 0,
        "bills_below_zero": known["negative_bills"],
    }
    wrong = [
        f"{name}: {told.get(name)}, expected {value}"
        for name, value in expected.items()
        if Decimal(told.get(name, "-1")) != value
    ]
    if not 0 < int(told.get("placed", 0)) <= 8_050:
        wrong.append(f"placed: {told.get('placed')}, expected some and at most all 8050 places")
    if Decimal(told["collected"]) - Decimal(told["commission"]) != Decimal(told["to_remit"]):
        wrong.append("collected less commission is not what is to be remitted")
    print("\n".join(wrong) or f"demo: {len(expected) + 2} totals as the data says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
