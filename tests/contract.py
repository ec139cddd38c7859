"""Holds the running server to its own API document: schemathesis with all phases and checks, the stateful one included.

Usage: tests/contract.py --binary target/debug/todoku --st path/to/st [--examples 40] [--seed N]

Starts a server of its own on a fresh private cluster, founds a vendor, and lets schemathesis speak as the vendor's administrator. The
hooks at the end of this file (schemathesis loads it as a module) fetch a new token before the old one ends.
"""

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TOKEN_SECONDS = 200  # of the 300 a token lives


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def token(base, client, secret):
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    request = urllib.request.Request(f"{base}/oauth/token", b"grant_type=client_credentials", {"Authorization": f"Basic {basic}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--st", required=True)
    arguments.add_argument("--examples", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="tdk", dir="/tmp")
    os.chmod(folder, 0o755)
    api, ops = free_port(), free_port()
    base = f"http://127.0.0.1:{api}"
    limits = {f"TODOKU_LIMITS__{name}": "1000000" for name in (
        "READ_PER_SECOND", "READ_BURST", "WRITE_PER_SECOND", "WRITE_BURST", "TOKEN_PER_SECOND", "TOKEN_BURST", "ADDRESS_PER_SECOND", "ADDRESS_BURST")}
    environment = {**os.environ, **limits, "TODOKU_DATABASE__DATA_DIR": f"{folder}/data", "TODOKU_SERVER__LISTEN": f"127.0.0.1:{api}",
                   "TODOKU_SERVER__OPS_LISTEN": f"127.0.0.1:{ops}", "TODOKU_SERVER__PUBLIC_URL": base, "TODOKU_LOG__LEVEL": "error", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    binary = os.path.abspath(asked.binary)
    log = open(f"{folder}/log", "wb")
    server = None
    try:
        founded = subprocess.run([binary, "vendor", "create", "--name", "契約株式会社", "--time-zone", "Asia/Tokyo", "--currency", "JPY"], env=environment, check=True, capture_output=True, text=True).stdout
        words = dict(line.split()[:2] for line in founded.splitlines() if line.startswith("client_"))
        server = subprocess.Popen([binary, "serve"], env=environment, stdout=log, stderr=log)
        for _ in range(300):
            try:
                token(base, words["client_id"], words["client_secret"])
                break
            except OSError:
                time.sleep(0.1)
        environment.update(SCHEMATHESIS_HOOKS="contract", PYTHONPATH=os.path.dirname(os.path.abspath(__file__)), CONTRACT_BASE=base,
                           CONTRACT_CLIENT=words["client_id"], CONTRACT_SECRET=words["client_secret"])
        settings = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.toml")
        command = [os.path.abspath(asked.st), "--config-file", settings, "run", f"{base}/openapi.json", "--url", base, "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--mode", "all",
                   "--max-examples", str(asked.examples), "--seed", str(asked.seed), "--continue-on-failure", "--generation-database", "none", "--request-timeout", "10", "--workers", "1"]
        ended = subprocess.run(command, env=environment, cwd=folder).returncode
        log.flush()
        wrong = open(f"{folder}/log", encoding="utf-8", errors="replace").read()
        if "internal error" in wrong or "panicked" in wrong:
            print(wrong[-4000:])
            ended = ended or 1
        return ended
    finally:
        if server:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

if "CONTRACT_BASE" in os.environ:
    import schemathesis

    @schemathesis.auth(refresh_interval=TOKEN_SECONDS)
    class Token:
        """Signs in as the vendor's administrator."""

        def get(self, case, context):
            return token(os.environ["CONTRACT_BASE"], os.environ["CONTRACT_CLIENT"], os.environ["CONTRACT_SECRET"])

        def set(self, case, data, context):
            client = f"{os.environ['CONTRACT_CLIENT']}:{os.environ['CONTRACT_SECRET']}"
            basic = f"Basic {base64.b64encode(client.encode()).decode()}"
            case.headers["Authorization"] = basic if case.operation.path == "/oauth/token" else f"Bearer {data}"

    @schemathesis.hook
    def before_call(context, case, kwargs):
        """Cursors are sealed by the server: one made up is always refused, so none is tried."""
        if case.query:
            case.query.pop("cursor", None)
