"""What chaos is made over: nats-servers of our own, and a proxy that can be a bad network.

All of it listens on loopback, on ports that were free a moment ago, and ends with this process.
"""

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.request


def until(what, holds, patience=180):
    """Waits until something holds; what it gives then."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"waited {patience} s in vain for {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One nats-server over a folder; killed and started again it has the same address."""

    def __init__(self, folder, name, ports, cluster):
        self.name, self.port, self.http, self.route = name, *ports
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.child = None
        config = f"""
server_name: {name}
listen: "127.0.0.1:{self.port}"
http: "127.0.0.1:{self.http}"
jetstream {{ store_dir: "{self.folder}", sync_interval: always }}
"""
        if len(cluster) > 1:
            routes = ", ".join(f'"nats://127.0.0.1:{ports[2]}"' for ports in cluster)
            config += f"""
cluster {{ name: chaos, listen: "127.0.0.1:{self.route}", routes: [{routes}], no_advertise: true }}
"""
        self.config = os.path.join(self.folder, "server.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)

    def start(self):
        log = open(os.path.join(self.folder, "server.log"), "ab")
        self.child = subprocess.Popen(
            ["nats-server", "-c", self.config], stdout=log, stderr=subprocess.STDOUT)

    def kill(self):
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child = None

    def stop(self):
        """Lets it finish what it does."""
        self.child.terminate()
        self.child.wait()
        self.child = None

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=2) as answer:
            return json.load(answer)

    def leads(self, stream):
        """Whether this server says that it leads the stream."""
        try:
            told = self.ask("jsz?streams=true")
        except OSError:
            return False
        for account in told.get("account_details", []):
            for detail in account.get("stream_detail", []):
                if detail["name"] == stream:
                    return detail.get("cluster", {}).get("leader") == self.name
        return False


class Servers:
    """One server, or a cluster of three."""

    def __init__(self, folder, count):
        ports = [(free_port(), free_port(), free_port()) for _ in range(count)]
        names = [f"n{number}" for number in range(1, count + 1)]
        self.all = [Server(folder, name, own, ports) for name, own in zip(names, ports)]
        for server in self.all:
            server.start()
        self.wait()

    def wait(self):
        """Until every server is up, and JetStream has a leader."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                told = [server.ask("jsz") for server in self.all]
                if len(told) == 1 or all(one.get("meta_cluster", {}).get("leader") for one in told):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit("the servers do not come up")

    def leader(self, stream):
        found = [server for server in self.all if server.child and server.leads(stream)]
        return found[0] if found else self.all[0]

    def end(self):
        for server in self.all:
            server.kill()


class Proxy:
    """A road to a server that can be cut, reset or held up."""

    def __init__(self, target):
        self.target, self.lock, self.pairs = target, threading.Lock(), []
        self.held = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=2)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.pairs.append((near, far))
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()

    def carry(self, near, far):
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                if self.held:
                    time.sleep(0.05)
                    continue
                for end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def reset(self):
        """Cuts every connection, hard; what was on its way is lost."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Worker:
    """One `recoup run`; started again when it has ended."""

    def __init__(self, binary, env, folder, number, of, words=()):
        self.command = [binary, "run", "--name", f"w{number}", "--of", str(of),
                        *(words if "--worker" in words else ("--worker", str(number), *words))]
        self.env, self.number, self.folder = env, number, folder
        self.log = os.path.join(folder, f"worker-{number}.log")
        self.child, self.stopped = None, False
        self.start()

    def start(self):
        log = open(self.log, "ab")
        self.from_here = os.path.getsize(self.log)
        self.child = subprocess.Popen(self.command, env=self.env, stdout=log, cwd=self.folder,
                                      stderr=subprocess.STDOUT)
        self.stopped = False

    def ended(self):
        return self.child.poll() is not None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        """Asks it to end and waits until it has; its exit code."""
        self.child.terminate()
        return self.child.wait()

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)
        self.stopped = True

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)
        self.stopped = False

    def told(self):
        """What it has logged since it was started last."""
        with open(self.log, "rb") as file:
            file.seek(self.from_here)
            return file.read().decode(errors="replace")

    def said(self, words):
        return self.told().count(words)

    def last_words(self):
        lines = self.told().strip().splitlines()
        return lines[-1] if lines else "nothing"
