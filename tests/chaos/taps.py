"""A road to a server that knows what it carries, and can do something at a named point of it.

The points are those of the protocol: what a worker says and hears while it reads, commits, asks
and takes a shard. At a point the worker is killed, or the connection is reset, just before or just
after the frame in question went through. So the program under test needs no hooks of its own.
"""

import json
import select
import socket
import threading

from servers import Proxy
from wire import Frames


def header(name, value=None):
    return lambda frame: frame.headers.get(name) is not None and \
        (value is None or frame.headers[name] == value)


def asks(words):
    return lambda frame: frame.verb in ("PUB", "HPUB") and frame.subject.startswith(words)


def cursor(frame):
    """The cursor that a frame holds."""
    if frame.verb != "HPUB" or ".cursor." not in frame.subject:
        return None
    try:
        return json.loads(frame.payload)
    except ValueError:
        return None


def leaves(frame):
    found = cursor(frame)
    return found is not None and found["owner"] == ""


def claims(frame):
    """Only cursors, and the first of them: no step says this."""
    found = cursor(frame)
    alone = frame.headers.get("Nats-Batch-Sequence", "1") == "1"
    return found is not None and alone and found["owner"] != ""


def stored(frame):
    return frame.verb in ("MSG", "HMSG") and b'"batch":' in frame.payload \
        and b'"seq":' in frame.payload and b"error" not in frame.payload


def delivered(frame):
    return frame.verb in ("MSG", "HMSG") and frame.reply.startswith("$JS.ACK.")


def ends(frame):
    return "Nats-Batch-Commit" in frame.headers


def begins(frame):
    return header("Nats-Batch-Sequence", "1")(frame) and not ends(frame)


def verb(name):
    return lambda frame: frame.verb == name


# Name, whether the worker sends it, what it is, and whether the deed comes before it goes through.
POINTS = (
    ("after a message was read", False, delivered, False),
    ("before the first message of a batch", True, begins, True),
    ("between the messages of a batch", True, header("Nats-Batch-Sequence", "2"), True),
    ("before the commit of a batch", True, ends, True),
    ("after the commit of a batch was sent", True, ends, False),
    ("after a commit was stored, before that is known", False, stored, True),
    ("after a commit is known to be stored", False, stored, False),
)
STARTING = (
    ("before the server greets", False, verb("INFO"), True),
    ("after the server has greeted", False, verb("INFO"), False),
    ("after the worker has introduced itself", True, verb("CONNECT"), False),
    ("when it looks at a stream", True, asks("$JS.API.STREAM.INFO."), False),
    ("when it asks for a cursor", True, asks("$JS.API.STREAM.MSG.GET."), False),
    ("before it claims its shards", True, claims, True),
    ("after it has claimed its shards", True, claims, False),
    ("when it asks for a consumer", True, asks("$JS.API.CONSUMER."), False),
    ("before a consumer is answered", True, asks("$JS.API.CONSUMER.CREATE"), True),
    ("when it asks for messages", True, asks("$JS.API.CONSUMER.MSG.NEXT."), False),
)
LEAVING = (
    ("before it takes its name out of the cursors", True, leaves, True),
    ("after it has taken its name out of the cursors", True, leaves, False),
)


class Trap:
    """What is waited for, and what is done about it, once."""

    def __init__(self, point, deed):
        (self.name, self.from_worker, self.is_it, self.before), self.deed = point, deed
        self.lock, self.sprung = threading.Lock(), threading.Event()

    def springs(self, frame, from_worker):
        if from_worker != self.from_worker or self.sprung.is_set() or not self.is_it(frame):
            return False
        with self.lock:
            if self.sprung.is_set():
                return False
            self.sprung.set()
            return True


class Tap(Proxy):
    """A proxy that looks at each frame."""

    def __init__(self, target):
        self.trap = None
        super().__init__(target)

    def carry(self, near, far):
        frames = {near: Frames(), far: Frames()}
        other = {near: far, far: near}
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    for frame in frames[end].feed(data):
                        if not self.pass_on(frame, end is near, other[end]):
                            reset(near)
                            return
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def pass_on(self, frame, from_worker, to):
        """Whether the connection goes on."""
        trap = self.trap
        sprung = trap is not None and trap.springs(frame, from_worker)
        if sprung and trap.before:
            trap.deed()
            return False
        to.sendall(frame.raw)
        if sprung:
            trap.deed()
        return not sprung


def reset(end):
    """So that whoever is behind it sees a reset, not an end."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    except OSError:
        pass
