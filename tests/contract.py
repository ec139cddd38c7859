"""Holds the running server to its own API document: schemathesis with all phases and checks, the stateful one included.

Usage: tests/contract.py --binary target/debug/todoku --st path/to/st [--examples 40] [--seed N] [--as vendor|partner]

Starts a server of its own on a fresh private cluster, founds a vendor, and lets schemathesis speak as the vendor's administrator, or as a partner's portal. The
hooks at the end of this file (schemathesis loads it as a module) fetch a new token before the old one ends.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from house import House

TOKEN_SECONDS = 200  # of the 300 a token lives


def token(base, client, secret):
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    request = urllib.request.Request(f"{base}/oauth/token", b"grant_type=client_credentials", {"Authorization": f"Basic {basic}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def portal(house, founder):
    """A client of a partner's, made as the vendor."""
    end = time.monotonic() + 10
    while True:
        try:
            bearer = token(house.url, founder["client_id"], founder["client_secret"])
            break
        except urllib.error.HTTPError as error:  # a vendor of a moment ago is not known yet
            if error.code != 401 or time.monotonic() > end:
                raise
            time.sleep(0.2)

    def made(path, body):
        request = urllib.request.Request(house.url + path, json.dumps(body).encode(), {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)

    partner = made("/v1/partners", {"external_id": "P", "name": "契約代理店", "kind": "reseller"})["id"]
    client = made(f"/v1/partners/{partner}/clients", {"name": "portal"})
    return {"client_id": client["id"], "client_secret": client["client_secret"]}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--st", required=True)
    arguments.add_argument("--examples", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--as", dest="who", choices=("vendor", "partner"), default="vendor")
    asked = arguments.parse_args()
    house, server = House(asked.binary, LOG__LEVEL="error"), None
    try:
        founder = house.todoku("vendor", "create", "--name", "契約株式会社")
        server = house.serve()
        speaker = founder if asked.who == "vendor" else portal(house, founder)
        here = os.path.dirname(os.path.abspath(__file__))
        environment = {**house.env, "SCHEMATHESIS_HOOKS": "contract", "PYTHONPATH": here, "CONTRACT_BASE": house.url, "CONTRACT_CLIENT": speaker["client_id"],
                       "CONTRACT_SECRET": speaker["client_secret"]}
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
        """Signs in as who speaks."""

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
