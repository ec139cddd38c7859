#!/usr/bin/env python3
"""The crash run: what was acknowledged survives SIGKILL exactly once, and nothing else is there (SECURITY e, L1). Standard library only, Linux.

Here belongs what must hold across the death of processes: gateway (which owns the cluster), worker and PostgreSQL are killed at random moments, alone and
together, while writers keep a ledger of acknowledgements with fsync. What one process promises while it lives is tested in tests/it. Outcomes are asserted,
never durations; guards only keep a hang from lasting.

Usage: tests/crash.py --binary target/debug/todoku [--cycles 10] [--seed N] [--control] [--keep]; PostgreSQL's programs are in $TODOKU_DATABASE__BIN_DIR or on
the PATH. --control damages what was written, at the end, and fails unless the check sees each damage; --keep leaves the folder (data, logs, ledger) behind.
"""

import argparse, base64, contextlib, hashlib, http.client, itertools, json, os, random, shutil, signal, subprocess, sys, threading, time, uuid
from collections import Counter, defaultdict
from datetime import date, timedelta
from fractions import Fraction

from house import FACETS, House

GUARD = 60  # seconds until what does not end is called a hang
SETTLE = 300  # the same for the queue: a killed worker's leases run for 60 s, and its successor may have been killed as well
BROKEN = (OSError, http.client.HTTPException)
RETRIED = {409: "idempotency-in-progress", 429: "quota-exceeded"}
TOLD = ("database-unavailable", "outcome-unknown", "overloaded", "shutting-down")  # what a 503 may say
BANDS = ("healthy", "watch", "at_risk", "unknown")
CELL = {**{band: ("1", f"band = '{band}'") for band in BANDS}, **{f"value_{band}": ("value_minor", f"band = '{band}'") for band in BANDS}, "unconverted": ("1", "unconverted"),
        "score_sum": ("score", "true"), "score_squares": ("score::bigint * score", "true"), "coverage_sum": ("coverage", "true"), "in_cadence": ("1", "in_cadence"),
        "value_in_cadence": ("value_minor", "in_cadence"), "heard": ("1", "reported_on IS NOT NULL"), "report_age_sum": ("scored_for - reported_on", "true"), "value_scores": ("value_minor::numeric * score", "true"),
        "points": ("('1e' || score / 1000 * 8)::numeric", "true")}
SPREAD = f"JOIN LATERAL {FACETS} ON"
KEPT = f"""SELECT partner_id, audience, facet, key_a, key_b, {', '.join(CELL)} FROM todoku.cell
    UNION ALL SELECT partner_id, audience, f.facet, f.key_a, f.key_b, {', '.join(CELL)} FROM todoku.cell_delta d {SPREAD} (f.facet = 'all') = (d.facet = 'all')"""
TRUTH = ", ".join(f"-coalesce(sum({what}) FILTER (WHERE {where}), 0)" for what, where in CELL.values())
SUMS = ", ".join(f"sum({figure})" for figure in CELL)
RECOUNT = f"""SELECT p.external_id, {', '.join(f"count(*) FILTER (WHERE h.band = '{band}')" for band in BANDS)}, sum(h.value_minor), coalesce(sum(h.score), 0)
    FROM todoku.health_score h JOIN todoku.partner p ON p.id = h.partner_id WHERE h.audience = 'vendor' AND h.counted GROUP BY 1"""
NONE_SUCH = {  # what must find no row
    "the numbers of events are not 1 to n": """SELECT vendor_id, count(*), count(DISTINCT seq), min(seq), max(seq) FROM todoku.event GROUP BY 1
        HAVING (count(*), count(DISTINCT seq), min(seq)) IS DISTINCT FROM (max(seq), max(seq), 1)""",
    "a head is not the newest revision": """SELECT r.external_id FROM todoku.status_report r LEFT JOIN todoku.status_report_head h ON h.report_id = r.id
        WHERE (h.report_id IS NULL) = NOT EXISTS (SELECT 1 FROM todoku.status_report n WHERE n.replaces_id = r.id)""",
    "a report is not whole": """SELECT r.external_id FROM todoku.status_report r WHERE (SELECT count(*) FROM todoku.observation o WHERE o.report_id = r.id) <> 3
        OR NOT EXISTS (SELECT 1 FROM todoku.status_report_text t WHERE t.report_id = r.id)""",
    "a key is without its answer": "SELECT key FROM todoku.idempotency WHERE status IS NULL",
    "the views of a customer are not both up to date": """SELECT c.external_id FROM todoku.customer c LEFT JOIN todoku.health_score s ON s.customer_id = c.id AND s.audience = 'shared'
        LEFT JOIN todoku.health_score v ON v.customer_id = c.id AND v.audience = 'vendor' WHERE s.customer_id IS NULL OR v.customer_id IS NULL
        OR (s.score, s.band, s.counted) IS DISTINCT FROM (v.score, v.band, v.counted) OR s.counted <> (c.state IN ('onboarding', 'active'))""",
    "cells differ from a recount": f"""SELECT partner_id, audience, facet, key_a, key_b, {SUMS} FROM ({KEPT} UNION ALL SELECT partner_id, audience, facet, key_a, key_b, {TRUTH}
        FROM todoku.health_score d {SPREAD} counted GROUP BY 1, 2, 3, 4, 5) c GROUP BY 1, 2, 3, 4, 5 HAVING ({SUMS}) <> ({', '.join('0' for _ in CELL)})""",
    "jobs are left": "SELECT kind, attempt, failure FROM ops.job"}


def until(what, holds, limit=GUARD, pause=0.02):
    """Waits for something to hold; a hang is a failure."""
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {limit} s")
        time.sleep(pause)


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
    """Parent and command line of every living process, by its id."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline", errors="replace") as line:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
                found.update({} if state in "ZX" else {int(pid): (int(parent), line.read())})
        except OSError:  # it is gone
            pass
    return found


class Crashing(House):
    """A house with its processes: `serve` owns the cluster, `work` joins it, and takes it over when owner and server were killed."""

    def __init__(self, binary):
        super().__init__(binary, WORKER__ENABLED="false")
        self.running, self.failed_starts = {}, 0

    def start(self, name):
        self.running[name] = self.launch({"gateway": "serve", "worker": "work"}[name], f"{name}.log")

    def ready(self):
        """Whether /readyz says so. A gateway that gave up while it started is started again, as by a supervisor; how often is told at the end."""
        if self.running["gateway"].poll() is not None:
            time.sleep(0.2)
            self.failed_starts += 1
            self.start("gateway")
        return self.is_ready()

    def postgres(self):
        """The postmaster, first, and its children, by their ids."""
        try:
            with open(f"{self.dir}/d/data/postmaster.pid") as file:
                master = int(file.readline())
        except (OSError, ValueError):
            return []
        there = processes()
        return [master, *(pid for pid, (parent, _) in there.items() if parent == master)] if self.dir in there.get(master, (0, ""))[1] else []

    def kill(self, name, how=signal.SIGKILL):
        """Ends PostgreSQL or a process of ours; answers its exit code."""
        if name != "postgres":
            self.running[name].send_signal(how)
            self.running[name].wait(GUARD)
            return self.running.pop(name).returncode
        if family := self.postgres():
            if how == signal.SIGKILL:
                os.kill(family[0], signal.SIGSTOP)  # from here on there are no more children
                family = self.postgres()
            for pid in reversed(family) if how == signal.SIGKILL else family[:1]:
                os.kill(pid, how)
            until("the end of PostgreSQL", lambda: not processes().keys() & family)

    def fallen(self):
        last = {path.partition(".")[0]: line for path, line in (words.split(": ", 1) for words in self.last_words())}
        return [f"the {name} ended by itself, with {process.returncode}: {last.get(name)}" for name, process in self.running.items() if process.poll() is not None]

    def panics(self):
        """What our processes said that they never should."""
        found = []
        for path in (f"{self.dir}/gateway.log", f"{self.dir}/worker.log"):
            with open(path, encoding="utf-8", errors="replace") as log:
                found += [f"{os.path.basename(path)}: {line.rstrip()}" for line in log if " panicked at " in line or "internal error" in line]
        return found

    def last_words(self):
        """The ends of all logs: of what a broken run is explained by."""
        for path in sorted(f"{self.dir}/{name}" for name in ("gateway.log", "worker.log", "d/postgres.log")):
            if not os.path.exists(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as log:
                yield from (f"{os.path.basename(path)}: {line.rstrip()}" for line in log.readlines()[-15:])

    def rows(self, query):
        return [line.split("\t") for line in self.psql(query).splitlines()]


class Ledger:
    """What was sent, noted before; and what was acknowledged, on disk after the 2xx."""

    def __init__(self, path):
        self.path, self.file, self.lock, self.sent, self.count, self.wrong, self.met = path, open(path, "ab", buffering=0), threading.Lock(), {}, 0, [], Counter()

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
        self.rng, self.conn, self.tokens, self.reports, self.done, self.serial = random.Random(f"{seed}/{name}"), http.client.HTTPConnection("127.0.0.1", port, timeout=20), {}, [], [], 0
        self.ledger, self.secrets, self.customers, self.stop = ledger, secrets, customers, stop

    def attempt(self, who, method, path, payload, key):
        """One try: an answer, or what has left the outcome unknown, so that the same must be sent again."""
        try:
            if who not in self.tokens:
                basic = {"Authorization": f"Basic {base64.b64encode(':'.join(self.secrets[who]).encode()).decode()}", "Content-Type": "application/x-www-form-urlencoded"}
                status, headers, body = ask(self.conn, "POST", "/oauth/token", "grant_type=client_credentials", basic)
                if status != 200:
                    self.look_at(status, headers, json.loads(body).get("code"), "a token")
                    return f"{status} for a token"
                self.tokens[who] = json.loads(body)["access_token"]
            headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json", "Idempotency-Key": key}
            status, headers, body = ask(self.conn, method, path, payload, headers)
        except BROKEN as cause:
            return type(cause).__name__
        code = json.loads(body)["code"] if status >= 400 else ""
        if status == 401:
            self.tokens.pop(who)  # it has expired
        self.look_at(status, headers, code, f"{method} {path}")
        return f"{status} {code}" if status in (401, *range(500, 600)) or RETRIED.get(status) == code else (status, headers, body)

    def look_at(self, status, headers, code, what):
        """However many fall, who asks is told nothing but 503, and when to come back."""
        if status >= 500 and (status != 503 or code not in TOLD or not headers["Retry-After"]):
            self.ledger.wrong.append(f"{what} was answered {status} {code}, Retry-After {headers['Retry-After']}")

    def send(self, who, method, path, payload, key):
        tries, end = 0, time.monotonic() + GUARD
        while isinstance(answer := self.attempt(who, method, path, payload, key), str):
            self.ledger.met[answer] += 1
            tries += 1
            if time.monotonic() > end:
                raise RuntimeError(f"{method} {path} with key {key} got no answer, at last {answer}")
            time.sleep(self.rng.uniform(0.01, 0.2))
        replayed = answer[1].get("Idempotency-Replayed") == "true"
        self.ledger.met["done, though the answer was lost"] += tries > 0 and replayed
        return answer[0], answer[2], replayed

    def deliver(self, kind, who, path, body, names, *outcome):
        """Sends until it is acknowledged, enters it, and looks at the answer; the rows of the answer, none when it is refused."""
        key, payload = str(uuid.UUID(int=self.rng.getrandbits(128))), json.dumps(body, ensure_ascii=False).encode()
        self.ledger.sent[key] = names
        status, text, _ = self.send(who, "POST", path, payload, key)
        rows = [] if status >= 300 else [row for row in json.loads(text).get("results", [json.loads(text)]) if row.get("outcome") != "rejected"]
        if rows:
            made = [(row["id"], row["external_id"], row.get("revision") or row["version"]) for row in rows]
            self.ledger.acknowledge(key=key, kind=kind, status=status, made=made, sha256=hashlib.sha256(text).hexdigest())
            self.done.append((who, path, payload, key, status, text))
        # Another outcome, "unchanged" say, would mean that it was done before and not remembered with its key.
        if [(row["external_id"], status, row.get("outcome"), row.get("revision")) for row in rows] != [(name, *outcome) for name in names]:
            self.ledger.wrong.append(f"{kind} {names} with key {key} should be {outcome} and was answered {status} {text[:400]}")
        return rows

    def replay(self, who, path, payload, key, *before):
        """What was acknowledged is sent again: the same bytes come back."""
        again = self.send(who, "POST", path, payload, key)
        self.ledger.met["replayed, the same bytes"] += again == (*before, True)
        self.ledger.wrong += [f"{path} with key {key}, answered {before}, was sent again and answered {again}"] * (again != (*before, True))

    def statement(self, who, letter, **more):
        self.serial += 1
        return {"external_id": f"{letter}-{self.name}-{self.serial}", "customer_external_id": self.rng.choice(self.customers[who]), "comment": f"第{self.rng.getrandbits(64):x}報",
                "period_end": str(date.today() - timedelta(self.rng.randint(2, 60))), "declared_band": self.rng.choice(BANDS[:3]),
                "observations": [{"measure": measure, "value": self.rng.randint(0, 100)} for measure in ("adoption", "csat")], **more}

    def report(self, who, **more):
        body = self.statement(who, "R", **more)
        if self.deliver("report", who, "/v1/status-reports", body, [body["external_id"]], 201, "created", 1):
            self.reports.append([who, 1, {name: body[name] for name in ("external_id", "customer_external_id")}])

    def correction(self, who):
        if not self.reports:
            return self.report(who)
        report = self.rng.choice(self.reports)
        report[1] += 1
        self.deliver("correction", report[0], "/v1/status-reports", self.statement(report[0], "C", **report[2]), [report[2]["external_id"]], 201, "updated", report[1])

    def batch(self, who):
        rows = [self.statement(who, "B") for _ in range(self.rng.randint(2, 5))]
        refused = [self.statement(who, "X", customer_external_id="nobody")] * (self.rng.random() < 0.3)  # must leave nothing
        self.deliver("batch", who, "/v1/status-reports/batch", {"reports": refused + rows}, [row["external_id"] for row in rows], 200, "created", 1)

    def customer(self, who):
        fresh = len(self.customers[who]) < 3 or self.rng.random() < 0.5
        self.serial += 1
        name = f"K-{self.name}-{self.serial}" if fresh else self.rng.choice(self.customers[who])
        body = {"external_id": name, "name": f"顧客{self.rng.getrandbits(64):x}", "state": self.rng.choice(("active", "active", "onboarding", "ended"))}
        if self.deliver("customer", who, "/v1/customers", body, [name], 201 if fresh else 200, None, None) and fresh:
            if len(self.customers[who]) < 3 or self.rng.random() < 0.5:
                return self.customers[who].append(name)
            self.report(who, customer_external_id=name)  # its only one: no later job makes good for a lost one

    def run(self):
        try:
            while not self.stop.is_set():
                self.rng.choice((self.report, self.correction, self.customer, self.batch))(self.rng.choice(list(self.customers)))
                if self.done and self.rng.random() < 0.15:
                    self.replay(*self.rng.choice(self.done))
        except Exception as cause:
            self.ledger.wrong.append(f"writer {self.name}: {cause!r}")


def decode(typeid):
    """The UUID under an id of the wire."""
    digits = str.maketrans("0123456789abcdefghjkmnpqrstvwxyz", "0123456789abcdefghijklmnopqrstuv")
    return str(uuid.UUID(int=int(typeid.rpartition("_")[2].translate(digits), 32)))


def check(house, ledger, told):
    """Everything that is wrong, in words. The ledger is read from disk, the rest as superuser; `told` is what the channel view says."""
    # A revision of a report is a thing of its own; a customer is one thing of many versions. Each number has one acknowledgement, audit entry and event.
    acknowledged, events, keys, wrong = defaultdict(list), defaultdict(list), set(), []
    for line in ledger.lines():
        keys.add(line["key"])
        for thing, name, number in line["made"]:
            acknowledged[decode(thing), name, "customer" if line["kind"] == "customer" else number].append(number)
    pending = {name for key, names in ledger.sent.items() if key not in keys for name in names}
    there = {(thing, name, int(number)): [int(number)] for thing, name, number in house.rows("SELECT id, external_id, revision FROM todoku.status_report")}
    there.update({(thing, name, "customer"): list(range(1, int(version) + 1)) for thing, name, version in house.rows("SELECT id, external_id, version FROM todoku.customer")})
    audits = Counter(row[0] for row in house.rows("SELECT subject_id FROM todoku.audit_entry WHERE outcome = 'done' AND operation ~ '^(submit_status_report|upsert_customer)'"))
    for thing, kind, number in house.rows("SELECT subject_id, type, coalesce(data->>'revision', data->>'version') FROM todoku.event WHERE type ~ '^(status_report|customer)[.]'"):
        events[thing].append((kind, int(number)))
    for what in {*there, *acknowledged}:
        (thing, name, number), heard, numbers = what, sorted(acknowledged[what]), there.get(what, [])
        if lost := [number for number in heard if number not in numbers]:
            wrong.append(f"{what} is lost: acknowledged {lost}, kept {numbers}")
        elif heard != numbers and name not in pending:
            wrong.append(f"{what} is kept at {numbers}, acknowledged {heard}: nothing explains it")
        kinds = ("customer.created", "customer.updated") if number == "customer" else ("status_report.accepted", "status_report.revised")
        expected = [(kinds[n > 1], n) for n in numbers or heard]
        wrong += [f"{what} has {audits[thing]} audit entries of {len(expected)}"] * (audits[thing] != len(expected))
        wrong += [f"{what} has the events {events[thing]} and not {expected}"] * (sorted(events[thing]) != expected)
    wrong += [f"{thing} has an audit entry or event and does not exist" for thing in {*audits, *events} - {what[0] for what in {*there, *acknowledged}}]
    wrong += [f"{what}: {found[:3]}" for what, query in NONE_SUCH.items() if (found := house.rows(query))]
    # What the vendor is shown of each partner, against its customers one by one.
    shown = {one["external_id"]: (*(one["own"]["bands"][band]["customers"] for band in BANDS), one["own"]["value_minor"], one["own"]["mean_health"]) for one in told()}
    for name, *figures in house.rows(RECOUNT):
        *counted, scores = map(int, figures)
        counted = (*counted, round(Fraction(scores, known)) / 1000 if (known := sum(counted[:3])) else None)
        wrong += [f"the channel view shows {shown.get(name)} of {name}, and not {counted}"] * (shown.get(name) != counted)
    active, seen = int(house.rows("SELECT count(*) FROM todoku.customer WHERE state IN ('onboarding', 'active')")[0][0]), sum(sum(figures[:4]) for figures in shown.values())
    return wrong + [f"the channel view counts {seen} customers of {active}"] * (seen != active)


def settle(house, writers, stop):
    """Until each writer has ended the write it is at, the queue is empty and every event has its number."""
    stop.set()
    for writer in writers:
        writer.join(2 * GUARD)
        if writer.is_alive():
            raise RuntimeError(f"writer {writer.name} hangs")
    stop.clear()
    try:
        until("an empty queue", lambda: house.rows("SELECT (SELECT count(*) FROM ops.job) + (SELECT count(*) FROM todoku.event WHERE seq IS NULL)") == [["0"]], SETTLE, 0.5)
    except RuntimeError:
        pass  # the check tells what is left


TOGETHER = [combination for size in (1, 2, 3) for combination in itertools.combinations(("gateway", "worker", "postgres"), size)]


def cycle(house, rng, number):
    """Kills some of the three and brings them back as an operator's supervisor would: what was done, and what was wrong with it. The first seven times each
    combination comes once, by SIGKILL."""
    wrong = house.fallen()
    if number >= len(TOGETHER) and rng.random() < 0.2 and (family := house.postgres())[1:]:
        # PostgreSQL starts again by itself when one of its processes is killed; ours live on.
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(family[1:]), signal.SIGKILL)
        until("/readyz", house.ready)
        return "one process of PostgreSQL's", wrong
    victims = rng.sample(*((TOGETHER[number], len(TOGETHER[number])) if number < len(TOGETHER) else (["gateway", "worker", "postgres"], rng.randint(1, 3))))
    # PostgreSQL is killed, or told to end at once, or to end what it is at.
    end = signal.SIGKILL if number < len(TOGETHER) else rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGQUIT, signal.SIGINT))
    for name in victims:
        house.kill(name, end if name == "postgres" else signal.SIGKILL)
    told = "+".join(victims) + f" (by {end.name})" * ("postgres" in victims)
    if "postgres" in victims and "gateway" not in victims and (how := rng.choice((None, signal.SIGTERM, signal.SIGKILL))):
        # The owner starts PostgreSQL again by itself, unless it is ended meanwhile; then the worker does, if it lives.
        time.sleep(rng.uniform(0, 2))
        told += f", its owner by {how.name}"
        if house.kill("gateway", how) not in (0, -signal.SIGKILL) or how == signal.SIGTERM and "worker" in victims and house.postgres():
            wrong.append("the gateway, asked to stop without PostgreSQL, does not stop well")
    if "gateway" not in house.running:
        house.start("gateway")
        if rng.random() < 0.25:
            time.sleep(rng.uniform(0, 0.5))
            again = rng.choice((["gateway"], ["gateway", "postgres"], ["postgres", "gateway"]))
            told += f", {'+'.join(again)} again while starting"
            for name in again:
                house.kill(name)
            house.start("gateway")
    until("/readyz", house.ready)
    if "worker" not in house.running:
        house.start("worker")  # behind the gateway, or it would be the owner
    return told, wrong


def damages(ledger):
    """Negative controls: a damage, how it is mended, and a word of what the check must say."""
    reports = [decode(line["made"][0][0]) for line in ledger.lines() if line["kind"] == "report"]
    for table, where in zip(("event", "audit_entry", "status_report"), (f"subject_id = '{reports[0]}'", f"subject_id = '{reports[1]}'", f"id = '{reports[2]}'")):
        take = f"CREATE TABLE public.kept AS SELECT * FROM todoku.{table} WHERE {where}; DELETE FROM todoku.{table} WHERE {where}"
        yield f"a row of {table} is gone", take, f"INSERT INTO todoku.{table} SELECT * FROM public.kept; DROP TABLE public.kept", where.split("'")[1]
    twin = json.dumps({"id": str(uuid.UUID(int=7)), "external_id": "twin"})
    copy = f"INSERT INTO todoku.status_report SELECT (jsonb_populate_record(r, '{twin}')).* FROM todoku.status_report r WHERE id = '{reports[3]}'"
    yield "a report is there twice", copy, "DELETE FROM todoku.status_report WHERE external_id = 'twin'", "'twin'"
    cell = "UPDATE todoku.cell SET healthy = healthy {} 1 WHERE (partner_id, audience, facet) = (SELECT min(partner_id::text)::uuid, 'vendor', 'stage' FROM todoku.cell)"
    yield "a cell is one off", cell.format("+"), cell.format("-"), "cells differ"


def control(house, ledger, told, writers, stop):
    """Damages one thing after another; what the check did not see. At last acknowledgements are lost in earnest."""
    unseen = []
    for name, damage, mend, word in damages(ledger):
        house.rows(f"SET session_replication_role = replica; {damage}")  # no foreign key stands in the way
        seen = [problem for problem in check(house, ledger, told) if word in problem]
        house.rows(f"SET session_replication_role = replica; {mend}")
        print(f"control: {name}: {seen[0] if seen else 'NOT SEEN'}", flush=True)
        unseen += [f"the check does not see that {name}"] * (not seen) + check(house, ledger, told)
    for statement in ("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"):
        house.rows(statement)
    there = processes()
    for pid in house.postgres():  # or it would write sooner than we kill
        if "walwriter" in there.get(pid, (0, ""))[1]:
            os.kill(pid, signal.SIGSTOP)
    wrong = len(ledger.wrong)
    for writer in writers:
        writer.start()
    time.sleep(2)
    for name in ("postgres", "gateway"):
        house.kill(name)
    house.start("gateway")
    until("/readyz", house.ready)
    settle(house, writers, stop)
    lost = [problem for problem in check(house, ledger, told) if "is lost" in problem]
    del ledger.wrong[wrong:]  # what the writers met is of the loss
    print(f"control: commits are not waited for: {f'{len(lost)} acknowledged and lost' if lost else 'NOT SEEN'}", flush=True)
    return unseen + ["the check does not see that commits are not waited for"] * (not lost)


def people(founder, secrets, customers, letters):
    """Partners with clients and customers, made as the vendor; how to read what the vendor sees of them."""
    def demand(method, path, body=None, who="vendor"):
        status, text, _ = founder.send(who, method, path, body and json.dumps(body), str(uuid.uuid4()))
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {text[:400]}")
        return json.loads(text)

    for name in (f"Partner {letter}" for letter in letters):
        partner = demand("POST", "/v1/partners", {"external_id": name, "name": name, "kind": "reseller"})["id"]
        client = demand("POST", f"/v1/partners/{partner}/clients", {"name": "portal"})
        secrets[name], customers[name] = (client["id"], client["client_secret"]), []
        while len(customers[name]) < 3:
            founder.customer(name)
        bought = {"product": "Kanri", "amount_minor": 1000, "currency": "JPY", "starts_on": str(date.today())}
        demand("POST", "/v1/subscriptions", {"external_id": "S", "customer_external_id": customers[name][0], **bought}, name)
    return lambda: demand("GET", "/v1/insights/channels?limit=1000")["data"]


def run(house, ledger, options):
    """A vendor with partners, the cycles, the check; everything that is wrong."""
    rng, customers, stop = random.Random(options.seed), {}, threading.Event()
    made = house.todoku("vendor", "create", "--name", "Crash")
    secrets = {"vendor": (made["client_id"], made["client_secret"])}
    founder, *writers = [Writer(f"{name}", options.seed, house.port, ledger, secrets, customers, stop) for name in range(13)]
    house.start("gateway")
    until("/readyz", house.ready)
    house.start("worker")
    told = people(founder, secrets, customers, "ABCDEFGHIJKL")
    for writer in writers[:6]:
        writer.start()
    for number in range(options.cycles):
        time.sleep(rng.uniform(0.5, 2))
        begun = time.monotonic()
        killed, wrong = cycle(house, rng, number)
        ledger.wrong += wrong
        print(f"cycle {number + 1}: killed {killed}; {ledger.count} acknowledged; ready after {time.monotonic() - begun:.2f} s", flush=True)
    time.sleep(1)
    begun = time.monotonic()
    settle(house, writers[:6], stop)
    for writer in writers[:6]:
        for one in rng.sample(writer.done, min(60, len(writer.done))):
            writer.replay(*one)
    wrong = check(house, ledger, told)
    kept = ", ".join(f"{house.rows(f'SELECT count(*) FROM todoku.{table}')[0][0]} {table}" for table in ("status_report", "customer", "event", "audit_entry"))
    print(f"settled in {time.monotonic() - begun:.0f} s; acknowledged {dict(Counter(line['kind'] for line in ledger.lines()))}; kept {kept}")
    print(f"met on the way {dict(+ledger.met)}; never acknowledged {len(ledger.sent) - ledger.count}; starts that failed {house.failed_starts}", flush=True)
    if options.control and not wrong:
        wrong = control(house, ledger, told, writers[6:], stop)
    # A gateway that is killed has requests under way; and nothing of ours panics on the way.
    lost = sum(times for what, times in ledger.met.items() if what.isidentifier())
    wrong += ["no outcome was ever unknown: nothing was tried"] * (not lost) + house.panics()
    wrong += ledger.wrong + house.fallen() + [f"the {name} does not stop well" for name in ("worker", "gateway") if house.kill(name, signal.SIGTERM) != 0]
    return wrong + ["PostgreSQL outlives its owner"] * bool(house.postgres())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=os.path.abspath)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    house = Crashing(options.binary)
    ledger = Ledger(f"{house.dir}/ledger")
    print(f"seed {options.seed}, {options.cycles} cycles, {house.dir}", flush=True)
    try:
        wrong = run(house, ledger, options)
    except (RuntimeError, subprocess.SubprocessError) as cause:
        wrong = [f"the run was broken off: {cause!r}", *ledger.wrong]
        print("what was said last:", *house.last_words(), sep="\n")
    finally:
        for name in (*house.running, "postgres"):
            house.kill(name)
        if not options.keep:
            shutil.rmtree(house.dir, ignore_errors=True)
    print(*[f"WRONG: {problem}" for problem in wrong[:40]], f"{len(wrong)} things are wrong" if wrong else "everything acknowledged is there, exactly once", sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
