"""Holds the running server to its own API document: schemathesis with all phases and checks, the stateful one included.

Usage: tests/contract.py --binary target/debug/todoku --st path/to/st [--examples 40] [--seed N]

Starts a server of its own on a fresh private cluster, founds a vendor, and lets schemathesis speak as the vendor's administrator. The
hooks at the end of this file (schemathesis loads it as a module) fetch a new token before the old one ends.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import urllib.request

from house import House

TOKEN_SECONDS = 200  # of the 300 a token lives


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
    house, server = House(asked.binary, LOG__LEVEL="error"), None
    try:
        founder = house.todoku("vendor", "create", "--name", "契約株式会社")
        server = house.serve()
        here = os.path.dirname(os.path.abspath(__file__))
        environment = {**house.env, "SCHEMATHESIS_HOOKS": "contract", "PYTHONPATH": here, "CONTRACT_BASE": house.url, "CONTRACT_CLIENT": founder["client_id"],
                       "CONTRACT_SECRET": founder["client_secret"]}
        command = [os.path.abspath(asked.st), "--config-file", f"{here}/contract.toml", "run", f"{house.url}/openapi.json", "--url", house.url, "--phases", "examples,coverage,fuzzing,stateful",
                   "--checks", "all", "--mode", "all", "--max-examples", str(asked.examples), "--seed", str(asked.seed), "--continue-on-failure", "--generation-database", "none",
                   "--request-timeout", "10", "--workers", "1"]
        ended = subprocess.run(command, env=environment, cwd=house.dir).returncode
        wrong = house.said()
        if "internal error" in wrong or "panicked" in wrong:
            print(wrong[-4000:])
            ended = ended or 1
        return ended
    finally:
        house.stop(server)
        house.leave()


if __name__ == "__main__":
    sys.exit(main())

if "CONTRACT_BASE" in os.environ:
    import schemathesis
    from schemathesis.generation.meta import TestPhase

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
        """Cursors are sealed by the server: one made up is always refused, so none is tried. And what a dry run makes is not there for who follows its link."""
        if case.query:
            case.query.pop("cursor", None)
            if case.meta and case.meta.phase.name == TestPhase.STATEFUL:
                case.query.pop("dry_run", None)
