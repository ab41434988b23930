"""How long shards stood still, as their cursors tell.

A cursor is stored with each commit, at an instant that the server notes, and none is ever removed:
so what happened can be measured afterwards, by one clock.
"""

import json

from wire import Client

ANY = {"deliver_policy": "all", "ack_policy": "none", "mem_storage": True, "num_replicas": 1,
       "inactive_threshold": 30_000_000_000}


def cursors(port, stage, stream):
    """The cursors of a stage in the order of their commits: seconds, shard, cursor."""
    client = Client(port)
    made = client.api(f"CONSUMER.CREATE.{stream}", {
        "stream_name": stream, "config": {**ANY, "filter_subject": f"{stream}.cursor.{stage}.*"}})
    name, left = made["name"], made["num_pending"]
    while left:
        batch = min(left, 1_000)
        wanted = {"batch": batch, "expires": 5_000_000_000}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
        for frame in client.ask(subject, wanted, many=True):
            if frame.status:
                raise SystemExit(f"{stream}: {left} cursors are missing: {frame.status}")
            left -= 1
            batch -= 1
            # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<seq>.<nanoseconds>.<pending>
            at = int(frame.reply.split(".")[-2]) / 1e9
            cursor = json.loads(frame.payload)
            yield at, cursor["shard"], cursor
            if not batch:
                break
        else:
            raise SystemExit(f"{stream}: {left} cursors did not come")
    client.close()


def longest(port):
    """The longest time between two commits of a shard of the book that both read something."""
    moved, most = {}, 0.0
    for at, shard, cursor in cursors(port, "book", "book"):
        before = moved.get(shard)
        if before is None or cursor["seq"] > before[1]:
            if before is not None:
                most = max(most, at - before[0])
            moved[shard] = (at, cursor["seq"])
    return most


def handovers(port, stage="book", stream="book"):
    """How long each shard stood still whenever it went from one worker to another: from the last
    commit of the old one that read something to the first such of the new one."""
    moved, pauses = {}, []
    for at, shard, cursor in cursors(port, stage, stream):
        if not cursor["owner"]:
            continue
        before = moved.get(shard)
        if before and cursor["seq"] <= before[1]:
            continue
        owner = (cursor["owner"], cursor["nonce"])
        if before and before[2] != owner:
            pauses.append((at - before[0], shard, before[2][0], cursor["owner"]))
        moved[shard] = (at, cursor["seq"], owner)
    return pauses
