"""The broker's own protocol, as far as it takes to look into it: frames, and a small client.

A frame is one line and what belongs to it. Nothing here checks what a proper client would check:
it is for a proxy that wants to know what it carries, and for tests that ask the broker themselves.
"""

import itertools
import json
import socket
import time

SIZED = ("PUB", "HPUB", "MSG", "HMSG")


class Frame:
    """One message of the protocol: its words, its headers, its payload, and its bytes."""

    def __init__(self, words, head, body):
        self.verb, self.words = words[0].upper(), words
        self.raw = head + b"\r\n" + (body + b"\r\n" if self.verb in SIZED else b"")
        cut = int(words[-2]) if self.verb in ("HPUB", "HMSG") else 0
        self.payload = body[cut:]
        lines = body[:cut].decode(errors="replace").split("\r\n")
        self.status = lines[0].partition(" ")[2]
        pairs = (line.partition(":") for line in lines[1:] if ":" in line)
        self.headers = {name: value.strip() for name, _, value in pairs}

    @property
    def subject(self):
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def reply(self):
        """Where an answer is wanted; empty: nowhere."""
        least = {"PUB": 3, "HPUB": 4, "MSG": 4, "HMSG": 5}.get(self.verb, 0)
        return self.words[-least + 1 if self.verb in ("PUB", "MSG") else -3] \
            if least and len(self.words) > least else ""


class Frames:
    """Bytes in, whole frames out."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        self.rest += data
        while b"\r\n" in self.rest:
            head, _, rest = self.rest.partition(b"\r\n")
            words = head.decode(errors="replace").split()
            if not words:
                self.rest = rest
                continue
            body = b""
            if words[0].upper() in SIZED:
                length = int(words[-1])
                if len(rest) < length + 2:
                    return
                body, rest = rest[:length], rest[length + 2:]
            self.rest = rest
            yield Frame(words, head, body)


class Client:
    """Asks one server, in one thread."""

    def __init__(self, port, user=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.frames, self.waiting, self.ids = Frames(), [], itertools.count(1)
        told = {"verbose": False, "headers": True, "no_responders": True, **(user or {})}
        self.server = json.loads(self.next(10).raw.partition(b" ")[2])
        self.send(f"CONNECT {json.dumps(told)}\r\nPING\r\n".encode())
        while self.next(10).verb != "PONG":
            pass

    def send(self, data):
        self.socket.sendall(data)

    def next(self, patience):
        """The next frame; None where none comes in time."""
        until = time.monotonic() + patience
        while not self.waiting:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 20)
            except TimeoutError:
                return None
            if not data:
                raise ConnectionError("the server hung up")
            self.waiting.extend(self.frames.feed(data))
        frame = self.waiting.pop(0)
        if frame.verb == "PING":
            self.send(b"PONG\r\n")
            return self.next(patience)
        return frame

    def ask(self, subject, payload=b"", headers=None, patience=5.0, many=False):
        """One answer, or with `many` a generator of all that come until there is silence."""
        number = next(self.ids)
        inbox = f"_INBOX.chaos.{id(self)}.{number}"
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self.send(f"SUB {inbox} {number}\r\n".encode())
        self.publish(subject, payload, headers, inbox)
        answers = self.answers(number, patience)
        return answers if many else next(answers, None)

    def answers(self, number, patience):
        while True:
            frame = self.next(patience)
            if frame is None:
                return
            if frame.verb in ("MSG", "HMSG") and frame.words[2] == str(number):
                yield frame

    def publish(self, subject, payload, headers=None, reply=""):
        head = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if headers:
            head = f"NATS/1.0\r\n{head}\r\n".encode()
            line = f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}\r\n"
            self.send(line.encode() + head + payload + b"\r\n")
        else:
            self.send(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")

    def api(self, subject, payload=b"", patience=5.0):
        """A question to JetStream; its answer as JSON."""
        answer = self.ask(f"$JS.API.{subject}", payload, patience=patience)
        if answer is None or answer.status.startswith("503"):
            raise ConnectionError(f"{subject}: no answer")
        return json.loads(answer.payload)

    def close(self):
        self.socket.close()
