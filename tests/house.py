"""A server of our own on a fresh private cluster, in a folder that is gone in the end: what every check that drives the real binary stands on. Standard
library only."""

import http.client
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START = 120  # seconds until a server that is not ready has failed
LIMITS = [f"LIMITS__{kind}_{part}" for kind in ("READ", "WRITE", "TOKEN", "ADDRESS") for part in ("PER_SECOND", "BURST")]

DIMENSIONS = ("region", "segment", "touch_model", "product", "stage")
# Every facet of a row `d` that has the dimensions, as what stands behind JOIN LATERAL.
FACETS = "(VALUES ('all', '', ''), " + ", ".join([f"('{one}', d.{one}, '')" for one in DIMENSIONS] + [f"('{one} {other}', d.{one}, d.{other})" for one, other in itertools.combinations(DIMENSIONS, 2)]) + ") f(facet, key_a, key_b)"


def is_free(port):
    """Whether nobody listens there; who has just ended there does not matter."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class House:
    """The folder, the ports and the settings; processes are started by name of their command."""

    def __init__(self, binary, **settings):
        self.binary = os.path.abspath(binary)
        self.bin = os.environ.get("TODOKU_DATABASE__BIN_DIR") or os.path.dirname(os.path.realpath(shutil.which("postgres") or sys.exit("where is PostgreSQL? set TODOKU_DATABASE__BIN_DIR")))
        # Not ephemeral ones: a caller of a dead server would connect to itself.
        self.port, self.ops = list(filter(is_free, random.SystemRandom().sample(range(20000, 32000), 20)))[:2]
        self.url = f"http://127.0.0.1:{self.port}"
        self.dir = tempfile.mkdtemp(prefix="tdk", dir="/tmp")  # short: a socket's path has no room
        os.chmod(self.dir, 0o755)  # run by root, PostgreSQL is somebody else
        own = {"DATABASE__DATA_DIR": f"{self.dir}/d", "DATABASE__BIN_DIR": self.bin, "SERVER__LISTEN": f"127.0.0.1:{self.port}", "SERVER__OPS_LISTEN": f"127.0.0.1:{self.ops}",
               "SERVER__PUBLIC_URL": self.url, "LOG__LEVEL": "warn", **dict.fromkeys(LIMITS, "1000000"), **settings}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("TODOKU_") and "proxy" not in name.lower()}
        self.env.update({f"TODOKU_{name}": value for name, value in own.items()})

    def launch(self, command, log="log"):
        """Starts `serve` or `work`, in a process group of its own."""
        with open(f"{self.dir}/{log}", "ab") as out:
            return subprocess.Popen([self.binary, command], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def is_ready(self):
        line = http.client.HTTPConnection("127.0.0.1", self.ops, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def serve(self, pause=0.05):
        """Starts a server and waits until it is ready."""
        server, end = self.launch("serve"), time.monotonic() + START
        while not self.is_ready():
            if server.poll() is not None or time.monotonic() > end:
                sys.exit("the server did not start:\n" + self.said()[-3000:])
            time.sleep(pause)
        return server

    def said(self):
        """What the server wrote to its log."""
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def todoku(self, *words):
        """Runs a command; the ids and secrets it prints, by their names."""
        done = subprocess.run([self.binary, *words], env={**self.env, "TODOKU_LOG__LEVEL": "error"}, stdout=subprocess.PIPE, text=True, check=True, timeout=START)
        return dict(re.findall(r"^(?:direct )?(vendor|partner|client_id|client_secret) +(\S+)", done.stdout, re.M))

    def as_owner(self):
        """How a program of PostgreSQL's is run as the user the cluster belongs to."""
        data = os.stat(f"{self.dir}/d/data")
        other = {"user": data.st_uid, "group": data.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"env": self.env, "cwd": "/", "text": True, **other}

    def psql(self, text):
        """Runs a script as the superuser, past all policies; the rows, tab between columns."""
        command = [f"{self.bin}/psql", "-XAtqF\t", "-v", "ON_ERROR_STOP=1", "-h", f"{self.dir}/d/run", "-U", "postgres", "-d", "todoku", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, timeout=1800, **self.as_owner())
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()[:2000]}\n{text[:500]}")
        return done.stdout.strip("\n")

    @staticmethod
    def stop(server, limit=60):
        """Asks a process to stop, and kills it if it does not."""
        if server and server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(limit)
            except subprocess.TimeoutExpired:
                server.kill()

    def leave(self):
        """Ends a PostgreSQL whose owner was killed, and removes the folder."""
        lock = f"{self.dir}/d/data/postmaster.pid"
        try:
            with open(lock, encoding="ascii") as file:
                os.kill(int(file.readline()), signal.SIGINT)
            for _ in range(300):
                os.stat(lock)
                time.sleep(0.1)
        except (OSError, ValueError):
            pass
        shutil.rmtree(self.dir, ignore_errors=True)
