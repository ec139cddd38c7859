#!/usr/bin/env python3
"""The crash run: what was acknowledged survives SIGKILL exactly once, and nothing else is there (SECURITY e, L1). Standard library only.

Here belongs what must hold across the death of processes: gateway (which owns the cluster), worker and PostgreSQL are killed at random
moments, alone and together, while writers keep a ledger of acknowledgements with fsync. What one process promises while it lives is
tested in tests/it. Outcomes are asserted, never durations; guards only keep a hang from lasting.

Usage: tests/crash.py --binary target/debug/todoku [--cycles 10] [--seed N] [--control] [--keep], on Linux, as root or as anybody.
PostgreSQL's programs: $TODOKU_DATABASE__BIN_DIR, else those on the PATH. With --control the run ends by damaging what it wrote and
fails unless the check sees each damage; --keep leaves the folder (data, logs, ledger) behind.
"""

import argparse, base64, hashlib, http.client, json, os, random, shutil, signal, socket, subprocess, sys, tempfile, threading, time, uuid
from collections import Counter, defaultdict
from datetime import date, timedelta

GUARD = 60  # seconds until what does not end is called a hang
SETTLE = 300  # the same for the queue: a killed worker's leases run for 60 s, and its successor may have been killed as well
WRITERS, PARTNERS = 6, 12
BROKEN = (OSError, http.client.HTTPException)
RETRIED = {409: "idempotency-in-progress", 429: "quota-exceeded"}
BANDS = ("healthy", "watch", "at_risk", "unknown")
FIGURES = {**{band: f"count(*) FILTER (WHERE band = '{band}')" for band in BANDS},
           **{f"value_{band}": f"coalesce(sum(value_minor) FILTER (WHERE band = '{band}'), 0)" for band in BANDS},
           "unconverted": "count(*) FILTER (WHERE unconverted)", "score_sum": "coalesce(sum(score), 0)",
           "score_squares": "coalesce(sum(score::bigint * score), 0)", "coverage_sum": "sum(coverage)",
           "in_cadence": "count(*) FILTER (WHERE in_cadence)", "value_in_cadence": "coalesce(sum(value_minor) FILTER (WHERE in_cadence), 0)",
           "heard": "count(reported_on)", "report_age_sum": "coalesce(sum(scored_for - reported_on), 0)"}
KEPT = " UNION ALL ".join(f"SELECT partner_id, audience, {', '.join(FIGURES)} FROM todoku.{table}" for table in ("cell", "cell_delta"))
COUNTED = f"SELECT partner_id, audience, {', '.join(f'-({how})' for how in FIGURES.values())} FROM todoku.health_score WHERE counted GROUP BY 1, 2"
SUMS = ", ".join(f"sum({figure})" for figure in FIGURES)
NONE_SUCH = {  # what must find no row
    "numbers of events are not dense": "SELECT vendor_id, count(*), count(DISTINCT seq), min(seq), max(seq) FROM todoku.event GROUP BY 1"
    " HAVING (count(*), count(DISTINCT seq), min(seq)) IS DISTINCT FROM (max(seq), max(seq), 1)",
    "a counter of events is not at the last": "SELECT * FROM todoku.event_counter c WHERE last_seq <> (SELECT max(seq) FROM todoku.event e WHERE e.vendor_id = c.vendor_id)",
    "revisions are not 1 to n": "SELECT external_id FROM todoku.status_report GROUP BY 1 HAVING (count(*), min(revision)) <> (max(revision), 1)",
    "a head is not the newest revision": "SELECT r.external_id FROM todoku.status_report r LEFT JOIN todoku.status_report_head h ON h.report_id = r.id"
    " WHERE (h.report_id IS NULL) = NOT EXISTS (SELECT 1 FROM todoku.status_report n WHERE n.replaces_id = r.id)",
    "a report is not whole": "SELECT r.external_id FROM todoku.status_report r WHERE (SELECT count(*) FROM todoku.observation o WHERE o.report_id = r.id) <> 3"
    " OR NOT EXISTS (SELECT 1 FROM todoku.status_report_text t WHERE t.report_id = r.id)",
    "an observation of no report": "SELECT id FROM todoku.observation o WHERE NOT EXISTS (SELECT 1 FROM todoku.status_report r WHERE r.id = o.report_id)",
    "a key without its answer": "SELECT key FROM todoku.idempotency WHERE status IS NULL",
    "the two views of a customer differ": "SELECT c.external_id FROM todoku.customer c LEFT JOIN todoku.health_score s ON s.customer_id = c.id AND s.audience = 'shared'"
    " LEFT JOIN todoku.health_score v ON v.customer_id = c.id AND v.audience = 'vendor' WHERE s.customer_id IS NULL OR v.customer_id IS NULL"
    " OR (s.score, s.band, s.counted) IS DISTINCT FROM (v.score, v.band, v.counted) OR s.counted <> (c.state IN ('onboarding', 'active'))",
    "cells differ from a recount": f"SELECT partner_id, audience, {SUMS} FROM ({KEPT} UNION ALL {COUNTED}) c GROUP BY 1, 2 HAVING ({SUMS}) <> ({', '.join('0' for _ in FIGURES)})",
    "jobs are left": "SELECT kind, attempt, failure FROM ops.job",
}


class Failure(Exception):
    """The run cannot go on."""


def until(what, holds, limit=GUARD, pause=0.02):
    """Waits for something to hold; a hang is a failure."""
    end = time.monotonic() + limit
    while not (found := holds()):
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {limit} s")
        time.sleep(pause)
    return found


def decode(typeid):
    """The UUID under an id of the wire."""
    bits = 0
    for digit in typeid.rpartition("_")[2]:
        bits = bits << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    return str(uuid.UUID(int=bits))


def ask(conn, method, path, body=None, headers=None):
    """One request; the connection is made anew after every fault."""
    try:
        conn.request(method, path, body, headers or {})
        answer = conn.getresponse()
        return answer.status, answer.headers, answer.read()
    except BROKEN:
        conn.close()
        raise


def processes():
    """What every living process runs, and who its parent is, by its id."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as line:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
                found.update({} if state in "ZX" else {int(pid): (int(parent), line.read())})
        except OSError:  # it is gone
            pass
    return found


class House:
    """A data folder with its processes: `serve` owns the cluster, `work` joins it."""

    def __init__(self, binary, bin_dir):
        self.binary, self.bin_dir, self.running, self.failed_starts = binary, bin_dir, {}, 0
        self.dir = tempfile.mkdtemp(prefix="tdcrash", dir="/tmp")  # short: a socket's path has no room
        os.chmod(self.dir, 0o755)  # run by root, PostgreSQL is somebody else
        self.port, self.ops = self.free_port(), self.free_port()
        settings = {"DATABASE__DATA_DIR": f"{self.dir}/d", "DATABASE__BIN_DIR": bin_dir, "WORKER__ENABLED": "false", "LOG__LEVEL": "warn", "SERVER__LISTEN": f"127.0.0.1:{self.port}",
                    "SERVER__OPS_LISTEN": f"127.0.0.1:{self.ops}", "SERVER__PUBLIC_URL": f"http://127.0.0.1:{self.port}",
                    **{f"LIMITS__{kind}_{part}": "100000" for kind in ("READ", "WRITE", "TOKEN", "ADDRESS") for part in ("PER_SECOND", "BURST")}}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("TODOKU_") and "proxy" not in name.lower()}
        self.env.update({f"TODOKU_{name}": value for name, value in settings.items()})

    @staticmethod
    def free_port():
        """Below the ephemeral ports: a caller of a dead gateway must not connect to itself."""
        while True:
            port = random.SystemRandom().randrange(20000, 32000)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return port

    def start(self, name):
        with open(f"{self.dir}/{name}.log", "ab") as log:
            command = [self.binary, {"gateway": "serve", "worker": "work"}[name]]
            self.running[name] = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def ready(self):
        try:
            return ask(http.client.HTTPConnection("127.0.0.1", self.ops, timeout=5), "GET", "/readyz")[0] == 200
        except BROKEN:
            return False

    def wait_ready(self):
        """As a supervisor does, starts a gateway again that gave up while it started; how often is told at the end."""
        def up():
            if self.running["gateway"].poll() is not None:
                self.failed_starts += 1
                time.sleep(0.2)
                self.start("gateway")
            return self.ready()
        until("/readyz", up)

    def postgres(self, stop=False):
        """The postmaster and its children, by their ids; stopped, it makes no more of them."""
        try:
            with open(f"{self.dir}/d/data/postmaster.pid") as file:
                master = int(file.readline())
        except (OSError, ValueError):
            return []
        if self.dir not in processes().get(master, (0, ""))[1]:
            return []
        if stop:
            os.kill(master, signal.SIGSTOP)
        return [master] + [pid for pid, (parent, _) in processes().items() if parent == master]

    def kill(self, name):
        if name == "postgres":
            family = self.postgres(stop=True)
            for pid in family:
                os.kill(pid, signal.SIGKILL)
            until("the end of PostgreSQL", lambda: not processes().keys() & family)
        elif process := self.running.pop(name, None):
            process.kill()
            process.wait(GUARD)

    def end(self, name):
        """Asks a process to stop; whether it did so in time and well."""
        try:
            self.running[name].terminate()
            return self.running[name].wait(GUARD) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill(name)

    def fallen(self):
        return [f"the {name} ended by itself, with {process.returncode}" for name, process in self.running.items() if process.poll() is not None]

    def rows(self, query):
        """Rows as the cluster's superuser, past all policies; run by root, as the owner of the data."""
        command = [f"{self.bin_dir}/psql", "-XAtqF\t", "-v", "ON_ERROR_STOP=1", "-h", f"{self.dir}/d/run", "-U", "postgres", "-d", "todoku", "-c", query]
        data = os.stat(f"{self.dir}/d/data")
        other = {"user": data.st_uid, "group": data.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(command, env=self.env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GUARD, **other)
        if done.returncode:
            raise Failure(f"psql: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def found(self):
        """A vendor, and its first client."""
        with open(f"{self.dir}/gateway.log", "ab") as log:
            made = subprocess.run([self.binary, "vendor", "create", "--name", "Crash"], env=self.env, stdout=subprocess.PIPE, stderr=log, timeout=2 * GUARD, text=True, check=True)
        words = dict(line.split()[:2] for line in made.stdout.splitlines() if line.startswith("client_"))
        return words["client_id"], words["client_secret"]


class Ledger:
    """What was sent, noted before; and what was acknowledged, on disk after the 2xx."""

    def __init__(self, path):
        self.path, self.file, self.lock, self.count = path, open(path, "ab", buffering=0), threading.Lock(), 0
        self.sent, self.wrong, self.met = {}, [], Counter()

    def acknowledge(self, **line):
        with self.lock:
            self.file.write(json.dumps(line).encode() + b"\n")
            os.fsync(self.file.fileno())
            self.count += 1

    def lines(self):
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


class Writer(threading.Thread):
    """Writes until it is told to stop, then ends the write it is at: a key is sent until it is answered 2xx."""

    def __init__(self, name, seed, port, ledger, secrets, customers, stop):
        super().__init__(name=name, daemon=True)
        self.rng, self.conn, self.ledger, self.secrets, self.customers = random.Random(f"{seed}/{name}"), http.client.HTTPConnection("127.0.0.1", port, timeout=20), ledger, secrets, customers
        self.stop, self.tokens, self.reports, self.done, self.serial = stop, {}, [], [], 0

    def attempt(self, who, method, path, payload, key):
        """One try: an answer, or what has left the outcome unknown, so that the same must be sent again."""
        try:
            if who not in self.tokens:
                basic = base64.b64encode(":".join(self.secrets[who]).encode()).decode()
                form = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
                status, _, body = ask(self.conn, "POST", "/oauth/token", "grant_type=client_credentials", form)
                if status != 200:
                    return f"{status} for a token"
                self.tokens[who] = json.loads(body)["access_token"]
            headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json", "Idempotency-Key": key}
            status, headers, body = ask(self.conn, method, path, payload, headers)
        except BROKEN as cause:
            return type(cause).__name__
        code = json.loads(body)["code"] if status >= 400 else ""
        if status == 401:
            self.tokens.pop(who)  # it has expired
        return f"{status} {code}" if status in (401, *range(500, 600)) or RETRIED.get(status) == code else (status, headers, body)

    def send(self, who, method, path, payload, key):
        tries = 0
        end = time.monotonic() + GUARD
        while isinstance(answer := self.attempt(who, method, path, payload, key), str):
            self.ledger.met[answer] += 1
            tries += 1
            if time.monotonic() > end:
                raise Failure(f"{method} {path} with key {key} got no answer, at last {answer}")
            time.sleep(self.rng.uniform(0.01, 0.2))
        status, headers, body = answer
        replayed = headers.get("Idempotency-Replayed") == "true"
        self.ledger.met["done, though the answer was lost"] += tries > 0 and replayed
        return status, body, replayed

    def deliver(self, kind, who, path, body, names, *outcome):
        """Sends until it is acknowledged, enters it, and looks at the answer; the rows of the answer, none when it is refused."""
        key, payload = str(uuid.UUID(int=self.rng.getrandbits(128))), json.dumps(body, ensure_ascii=False).encode()
        self.ledger.sent[key] = names
        status, text, _ = self.send(who, "POST", path, payload, key)
        rows = [] if status >= 300 else [row for row in json.loads(text).get("results", [json.loads(text)]) if row.get("outcome") != "rejected"]
        if rows:
            made = [(decode(row["id"]), row["external_id"], row.get("revision") or row["version"]) for row in rows]
            self.ledger.acknowledge(key=key, kind=kind, status=status, made=made, sha256=hashlib.sha256(text).hexdigest())
            self.done.append((who, path, payload, key, status, text))
        # Another outcome, "unchanged" say, would mean that it was done before and not remembered with its key.
        if [(row["external_id"], status, row.get("outcome"), row.get("revision")) for row in rows] != [(name, *outcome) for name in names]:
            self.ledger.wrong.append(f"{kind} {names} with key {key} should be {outcome} and was answered {status} {text[:400]}")
        return rows

    def replay(self, one):
        """What was acknowledged is sent again: the same bytes come back."""
        again = self.send(*one[:1], "POST", *one[1:4])
        self.ledger.met["replayed, the same bytes"] += again == (*one[4:], True)
        if again != (*one[4:], True):
            self.ledger.wrong.append(f"{one} was sent again and answered {again}")

    def body(self, who, letter, **more):
        self.serial += 1
        observations = [{"measure": measure, "value": self.rng.randint(0, 100)} for measure in ("adoption", "csat")]
        return {"external_id": f"{letter}-{self.name}-{self.serial}", "customer_external_id": self.rng.choice(self.customers[who]), "period_end": str(date.today() - timedelta(self.rng.randint(2, 60))),
                "comment": f"第{self.rng.getrandbits(64):x}報", "declared_band": self.rng.choice(BANDS[:3]), "observations": observations, **more}

    def report(self, who):
        body = self.body(who, "R")
        if self.deliver("report", who, "/v1/status-reports", body, [body["external_id"]], 201, "created", 1):
            self.reports.append([who, body, 1])

    def correction(self, who):
        report = self.rng.choice(self.reports or [[who, self.body(who, "C"), 0]])
        who, before, revision = report
        body = self.body(who, "C", external_id=before["external_id"], customer_external_id=before["customer_external_id"])
        if self.deliver("correction", who, "/v1/status-reports", body, [body["external_id"]], 201, "updated" if revision else "created", revision + 1):
            report[2] += 1

    def batch(self, who):
        rows = [self.body(who, "B") for _ in range(self.rng.randint(2, 5))]
        refused = [self.body(who, "X", customer_external_id="nobody")] * (self.rng.random() < 0.3)  # must leave nothing
        self.deliver("batch", who, "/v1/status-reports/batch", {"reports": refused + rows}, [row["external_id"] for row in rows], 200, "created", 1)

    def customer(self, who):
        fresh = len(self.customers[who]) < 3 or self.rng.random() < 0.3
        self.serial += 1
        name = f"K-{self.name}-{self.serial}" if fresh else self.rng.choice(self.customers[who])
        body = {"external_id": name, "name": f"顧客{self.rng.getrandbits(64):x}", "state": self.rng.choice(("active", "active", "onboarding", "ended")), "touch_model": self.rng.choice(("high", "low", "tech"))}
        if self.deliver("customer", who, "/v1/customers", body, [name], 201 if fresh else 200, None, None) and fresh:
            self.customers[who].append(name)

    def run(self):
        try:
            while not self.stop.is_set():
                self.rng.choice((self.report, self.correction, self.customer, self.batch))(self.rng.choice(list(self.customers)))
                if self.done and self.rng.random() < 0.15:
                    self.replay(self.rng.choice(self.done))
        except Exception as cause:
            self.ledger.wrong.append(f"writer {self.name}: {cause!r}")


def check(house, ledger, told):
    """Everything that is wrong, in words. The ledger is read from disk, the rest as superuser; `told` is what the channel view says."""
    wrong, acknowledged, keys = [], defaultdict(list), set()
    for line in ledger.lines():
        keys.add(line["key"])
        for thing, name, number in line["made"]:
            acknowledged[thing, name, "customer" if line["kind"] == "customer" else number].append(number)
    pending = {name for key, names in ledger.sent.items() if key not in keys for name in names}
    there = {(thing, name, int(number)): [int(number)] for thing, name, number in house.rows("SELECT id, external_id, revision FROM todoku.status_report")}
    there.update({(thing, name, "customer"): list(range(1, int(version) + 1)) for thing, name, version in house.rows("SELECT id, external_id, version FROM todoku.customer")})
    audits = Counter(thing for thing, in house.rows("SELECT subject_id FROM todoku.audit_entry WHERE outcome = 'done' AND (operation LIKE 'submit_status_report%' OR operation = 'upsert_customer')"))
    events = defaultdict(list)
    for thing, kind, number in house.rows("SELECT subject_id, type, coalesce(data->>'revision', data->>'version') FROM todoku.event WHERE type LIKE 'status_report.%' OR type LIKE 'customer.%'"):
        events[thing].append((kind, int(number)))
    # A report's revision is a thing of its own; a customer is one thing with many versions. Each number has one acknowledgement, audit entry and event.
    for what in {*there, *acknowledged}:
        (thing, name, number), numbers = what, there.get(what, [])
        if lost := [number for number in acknowledged[what] if number not in numbers]:
            wrong.append(f"{what} is lost: acknowledged {lost}, kept {numbers}")
        if sorted(acknowledged[what]) != numbers and not lost and name not in pending:
            wrong.append(f"{what} is kept at {numbers}, acknowledged {acknowledged[what]}: nothing explains it")
        kinds = ("customer.created", "customer.updated") if number == "customer" else ("status_report.accepted", "status_report.revised")
        expected = [(kinds[n > 1], n) for n in sorted(numbers or acknowledged[what])]
        if audits[thing] != len(expected):
            wrong.append(f"{what} has {audits[thing]} audit entries of {len(expected)}")
        if sorted(events[thing]) != expected:
            wrong.append(f"{what} has the events {sorted(events[thing])} and not {expected}")
    wrong += [f"{thing} has an audit entry or event and does not exist" for thing in {*audits, *events} - {what[0] for what in {*there, *acknowledged}}]
    wrong += [f"{what}: {found[:3]}" for what, query in NONE_SUCH.items() if (found := house.rows(query))]
    active, shown = int(house.rows("SELECT count(*) FROM todoku.customer WHERE state IN ('onboarding', 'active')")[0][0]), told()
    return wrong + ([f"the channel view counts {shown} customers of {active}"] if shown != active else [])


def settle(house):
    """Until the queue is empty and every event has its number."""
    query = "SELECT (SELECT count(*) FROM ops.job), (SELECT count(*) FROM todoku.event WHERE seq IS NULL)"
    until("an empty queue", lambda: house.rows(query) == [["0", "0"]], SETTLE, 0.5)


def cycle(house, rng):
    """Kills some of the three and brings them back as an operator's supervisor would: what was done, and what was wrong with it."""
    wrong, everybody = house.fallen(), ["gateway", "worker", "postgres"]
    victims = rng.sample(everybody, rng.randint(1, 3))
    for name in victims:
        house.kill(name)
    told = "+".join(victims)
    if "postgres" in victims and "gateway" not in victims:
        # The owner does not start PostgreSQL again (command/serve.rs starts it once): it is not ready and answers 503 until it is itself started anew.
        time.sleep(rng.uniform(0.1, 1))
        wrong += ["the gateway is ready without PostgreSQL"] * house.ready()
        asked = rng.random() < 0.5
        told += ", owner asked to stop" if asked else ", then its owner"
        if not (house.end("gateway") if asked else house.kill("gateway") is None):
            wrong.append("the gateway does not stop well without PostgreSQL")
    if "gateway" not in house.running:
        house.start("gateway")
        if rng.random() < 0.25:
            time.sleep(rng.uniform(0, 0.5))
            again = rng.choice((["gateway"], ["gateway", "postgres"], ["postgres", "gateway"]))
            told += f", {'+'.join(again)} again while starting"
            for name in again:
                house.kill(name)
            house.start("gateway")
    house.wait_ready()
    if "worker" not in house.running:
        house.start("worker")  # behind the gateway, or it would be the owner
    return told, wrong


def damages(ledger):
    """Negative controls: a damage, how it is mended, and a word of what the check must say."""
    reports = [line["made"][0][0] for line in ledger.lines() if line["kind"] == "report"]
    for table, column, thing in zip(("event", "audit_entry", "status_report"), ("subject_id", "subject_id", "id"), reports):
        take = f"CREATE TABLE public.kept AS SELECT * FROM todoku.{table} WHERE {column} = '{thing}'; DELETE FROM todoku.{table} WHERE {column} = '{thing}'"
        yield f"a row of {table} is gone", take, f"INSERT INTO todoku.{table} SELECT * FROM public.kept; DROP TABLE public.kept", thing
    copy = f"""INSERT INTO todoku.status_report SELECT (jsonb_populate_record(r, '{{"id": "{uuid.UUID(int=7)}", "external_id": "twin"}}')).* FROM todoku.status_report r WHERE id = '{reports[3]}'"""
    yield "a report is there twice", copy, "DELETE FROM todoku.status_report WHERE external_id = 'twin'", "'twin'"
    cell = "UPDATE todoku.cell SET healthy = healthy {} 1 WHERE (partner_id, audience) = (SELECT min(partner_id::text)::uuid, 'vendor' FROM todoku.cell)"
    yield "a cell is one off", cell.format("+"), cell.format("-"), "cells differ"


def control(house, ledger, told, writers, stop):
    """Damages one thing after another; what the check did not see. At last acknowledgements are lost in earnest."""
    unseen = []
    for name, damage, mend, word in damages(ledger):
        house.rows(f"SET session_replication_role = replica; {damage}")  # no foreign key stands in the way
        seen = [problem for problem in check(house, ledger, told) if word in problem]
        house.rows(f"SET session_replication_role = replica; {mend}")
        print(f"control: {name}: {seen[0] if seen else 'NOT SEEN'}", flush=True)
        unseen += [] if seen else [f"the check does not see that {name}"]
        unseen += check(house, ledger, told)
    house.rows("ALTER SYSTEM SET synchronous_commit = off")
    house.rows("SELECT pg_reload_conf()")
    for pid in house.postgres():  # or it would write sooner than we kill
        if "walwriter" in processes()[pid][1]:
            os.kill(pid, signal.SIGSTOP)
    wrong = len(ledger.wrong)
    for writer in writers:
        writer.start()
    time.sleep(2)
    for name in ("postgres", "gateway"):
        house.kill(name)
    house.start("gateway")
    house.wait_ready()
    join(writers, stop)
    settle(house)
    lost = [problem for problem in check(house, ledger, told) if "is lost" in problem]
    del ledger.wrong[wrong:]  # what the writers met is of the loss
    print(f"control: commits are not waited for: {f'{len(lost)} acknowledged and lost' if lost else 'NOT SEEN'}", flush=True)
    return unseen + ([] if lost else ["the check does not see that commits are not waited for"])


def join(writers, stop):
    stop.set()
    for writer in writers:
        writer.join(2 * GUARD)
        if writer.is_alive():
            raise Failure(f"writer {writer.name} hangs")
    stop.clear()


def run(house, options):
    rng, ledger, secrets, customers, stop = random.Random(options.seed), Ledger(f"{house.dir}/ledger"), {"vendor": house.found()}, {}, threading.Event()
    crew = lambda names: [Writer(name, options.seed, house.port, ledger, secrets, customers, stop) for name in names]
    house.start("gateway")
    house.wait_ready()
    house.start("worker")
    founder, = crew(["founder"])

    def demand(method, path, body=None, who="vendor"):
        status, text, _ = founder.send(who, method, path, body and json.dumps(body), str(uuid.uuid4()))
        if status >= 300:
            raise Failure(f"{method} {path}: {status} {text[:400]}")
        return json.loads(text)

    for i in range(PARTNERS):
        name = f"Partner {chr(65 + i)}"
        partner = demand("POST", "/v1/partners", {"external_id": f"P{i}", "name": name, "kind": "reseller"})["id"]
        client = demand("POST", f"/v1/partners/{partner}/clients", {"name": "portal"})
        secrets[name], customers[name] = (client["id"], client["client_secret"]), []
        while len(customers[name]) < 3:
            founder.customer(name)
        bought = {"external_id": f"S{i}", "customer_external_id": customers[name][0], "product": "Kanri", "amount_minor": 1000 + i, "currency": "JPY", "starts_on": str(date.today())}
        demand("POST", "/v1/subscriptions", bought, name)
    writers = crew(f"{i}" for i in range(WRITERS))
    for writer in writers:
        writer.start()
    for number in range(options.cycles):
        time.sleep(rng.uniform(0.5, 2))
        begun = time.monotonic()
        told, wrong = cycle(house, rng)
        ledger.wrong += wrong
        print(f"cycle {number + 1}: killed {told}; {ledger.count} acknowledged; ready after {time.monotonic() - begun:.2f} s", flush=True)
    time.sleep(1)
    join(writers, stop)
    for writer in writers:
        for one in rng.sample(writer.done, min(60, len(writer.done))):
            writer.replay(one)
    begun = time.monotonic()
    settle(house)
    told = lambda: demand("GET", "/v1/insights/channels")["total"]["customers"]
    wrong = check(house, ledger, told)
    kept = ", ".join(f"{house.rows(f'SELECT count(*) FROM todoku.{table}')[0][0]} {table}" for table in ("status_report", "customer", "event", "audit_entry"))
    print(f"settled in {time.monotonic() - begun:.0f} s; acknowledged {dict(Counter(line['kind'] for line in ledger.lines()))}; kept {kept}")
    print(f"met on the way {dict(+ledger.met)}; never acknowledged {len(ledger.sent) - ledger.count}; starts that failed {house.failed_starts}", flush=True)
    if options.control and not wrong:
        wrong = control(house, ledger, told, crew(f"late{i}" for i in range(WRITERS)), stop)
    return wrong + ledger.wrong + house.fallen() + [f"the {name} does not stop well" for name in ("worker", "gateway") if not house.end(name)] + ["PostgreSQL outlives its owner"] * bool(house.postgres())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    bin_dir = os.environ.get("TODOKU_DATABASE__BIN_DIR") or os.path.dirname(os.path.realpath(shutil.which("postgres") or sys.exit("TODOKU_DATABASE__BIN_DIR is not set")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    house, wrong = House(os.path.abspath(options.binary), bin_dir), ["the run was broken off"]
    print(f"seed {options.seed}, {options.cycles} cycles, {house.dir}", flush=True)
    try:
        wrong = run(house, options)
    except Failure as cause:
        wrong = [str(cause)]
    finally:
        for name in ("gateway", "worker", "postgres"):
            house.kill(name)
        for path in [f"{house.dir}/{name}.log" for name in ("gateway", "worker", "d/postgres")] if wrong else []:
            print(f"-- the end of {path}:", *(open(path, errors="replace").read().splitlines()[-15:] if os.path.exists(path) else []), sep="\n")
        if not options.keep:
            shutil.rmtree(house.dir, ignore_errors=True)
    print(*[f"WRONG: {problem}" for problem in wrong[:40]], f"{len(wrong)} things are wrong" if wrong else "everything acknowledged is there, exactly once", sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
