#!/usr/bin/env python3
"""PostgreSQL full, and without connections: told with 503 and Retry-After, never a hang, nothing acknowledged lost, well again without a restart.

What belongs here: outages for which the private cluster itself must be brought low. Its disk is a small tmpfs (root only) that is filled until tables cannot grow,
and until the WAL cannot, at which PostgreSQL panics and cannot start again; and its roles are denied connections. Writers and a reader go on meanwhile; each
writer insists with its key. Ledger, writers and recount are those of crash.py; PostgreSQL cut off or silent is tested in tests/it/outage.rs. Outcomes are
asserted, never durations; a guard only keeps a hang from lasting. Standard library only, Linux.

Usage: tests/full.py --binary target/debug/todoku [--seed N] [--part disk|connections]; PostgreSQL's programs are in $TODOKU_DATABASE__BIN_DIR or on the PATH.
"""

import argparse, base64, contextlib, http.client, json, os, random, shutil, signal, subprocess, sys, threading, time
from collections import Counter, namedtuple
from functools import partial

from crash import BROKEN, GUARD, RETRIED, Ledger, Writer, ask, check, decode, people, settle, until
from house import House

ANSWER = 30  # seconds until a request without an answer hangs
DISK = 384 << 20  # bytes of the tmpfs; a fresh cluster takes a fifth
ROOM = 32 << 20  # bytes that must be free once the ballast is gone, or the disk is full of PostgreSQL's own
LEFT = 400 << 10  # bytes that a round leaves free for a while
HALF = 4 << 10  # half a page of PostgreSQL's: a page that is written in part is told in other words than one that is not
WAL_END = "pg_current_wal_insert_lsn()"
ENOUGH = 60  # refusals a round must see: else it shows nothing
DOWN = ("database-unavailable", "outcome-unknown")  # what may be told while PostgreSQL falls, starts or ends a session
ROLES = ("partner", "staff", "worker", "auth")
# While PostgreSQL runs, refusals say one of `codes`, the first at least once, and the `spared` are served all along; `falls`: it must not run all along.
# `starved` are refused though their own role has its connections: what is known of the tenants is good for ten seconds.
Round = namedtuple("Round", "name begin keep end seconds codes spared falls starved", defaults=[()])


class Full(House):
    """A house whose cluster can be brought low."""

    def __init__(self, binary):
        super().__init__(binary)
        self.disk, self.env["NO_COLOR"], self.fallen = f"{self.dir}/d", "1", False
        os.mkdir(self.disk)

    def mount(self):
        """Puts the cluster's folder on a small disk; what stands against it."""
        if os.geteuid() != 0:
            return "only root may mount"
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "todoku-full", self.disk], capture_output=True, text=True)
        except OSError as cause:
            return str(cause)
        return done.stderr.strip() or "mount failed" if done.returncode else None

    def free(self):
        there = os.statvfs(self.disk)
        return there.f_bavail * there.f_bsize

    def fill(self, left=0):
        """Leaves that many bytes free; others take and give at the same time."""
        with open(f"{self.disk}/ballast", "ab") as ballast:
            for _ in range(1000):
                size, more = os.fstat(ballast.fileno()).st_size, self.free() - left
                if more < 0:
                    os.ftruncate(ballast.fileno(), max(0, size + more))
                if more <= 0:
                    return
                with contextlib.suppress(OSError):  # somebody was faster
                    os.posix_fallocate(ballast.fileno(), size, more)

    def fill_tables(self, first, last):
        """Leaves no room for tables that grow; what lies between `first` and `last` bytes is taken a while later. The write-ahead log has segments to go on to."""
        self.psql("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal();\n" * 5 + "CHECKPOINT")
        self.fill(first)
        time.sleep(first > last)
        self.fill(last)

    def fill_wal(self):
        """Leaves next to no room in the write-ahead log either: when a commit needs a segment that is not there, PostgreSQL falls."""
        self.fill()
        try:
            for _ in range(40):
                if self.psql(f"SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{{24}}$' AND name > pg_walfile_name({WAL_END})") == "0":
                    break
                self.psql("SELECT pg_switch_wal()")
            self.psql(f"SELECT pg_logical_emit_message(false, '', repeat('x', greatest(0, {(16 << 20) - LEFT // 8} - mod({WAL_END} - '0/0', {16 << 20}))::int))")
        except RuntimeError:  # it is down
            self.fallen = True

    def empty(self):
        os.unlink(f"{self.disk}/ballast")
        if self.free() < ROOM:
            raise RuntimeError(f"the disk is too small: {self.free()} bytes are free without the ballast")

    def allow(self, roles, connections):
        """Sets how many connections roles may have; those they have are ended if there is a limit."""
        names = [f"todoku_{role}" for role in roles]
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({', '.join(map(repr, names))});" * (connections >= 0)
        self.psql("".join(f"ALTER ROLE {name} CONNECTION LIMIT {connections};" for name in names) + ended)

    def life(self):
        """Another one after each fall of PostgreSQL: then all its processes are new."""
        return self.psql("SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'")

    def rows(self, query):
        return [line.split("\t") for line in self.psql(query).splitlines()]

    def leave(self):
        try:
            super().leave()
        finally:
            for how in ([], ["-l"]):
                if os.path.ismount(self.disk):
                    subprocess.run(["umount", *how, self.disk])
            shutil.rmtree(self.dir, ignore_errors=True)


class Told:
    """What was answered, by round; and all that must not be."""

    def __init__(self):
        self.wrong, self.lock, self.ids = [], threading.Lock(), {}
        self.turn(())

    def turn(self, codes):
        """From now on a refusal may say one of these. Full pools are told on good days, too."""
        self.codes, self.refused, self.others, self.slowest, self.last = {*codes, "overloaded"}, Counter(), Counter(), 0, 0

    def hear(self, who, line, method, path, body=None, headers=None):
        """Asks; status, headers, body and code of the answer, none when the connection broke."""
        may, begun = self.codes, time.monotonic()
        try:
            status, headers, body = ask(line, method, path, body, headers)
        except BROKEN as cause:
            self.wrong.append(f"{who}, {method} {path}: no answer after {time.monotonic() - begun:.1f} s: {cause!r}")
            return None, {}, b"", type(cause).__name__
        took, code = time.monotonic() - begun, ""
        if status >= 400:
            with contextlib.suppress(ValueError):
                code = json.loads(body).get("code", "")
        with self.lock:
            self.others[who, code or status] += 1
            if status >= 500:
                self.refused[code] += 1
                self.slowest = max(self.slowest, took)
                self.last = max(self.last, time.monotonic() * (code != "overloaded"))
                self.ids[headers.get("X-Request-Id", "")] = code
        if took > ANSWER or status >= 500 and (status != 503 or code not in may | self.codes or not headers.get("Retry-After", "").isdigit()):
            told = f"{status}, Retry-After {headers.get('Retry-After')}, request {headers.get('X-Request-Id')}, {body.decode(errors='replace')[:300]}"
            self.wrong.append(f"{who}, {method} {path}: after {took * 1000:.0f} ms, when {sorted(may)} may be said: {told}")
        return status, headers, body, code


def basic(secrets):
    return {"Authorization": f"Basic {base64.b64encode(':'.join(secrets).encode()).decode()}", "Content-Type": "application/x-www-form-urlencoded"}


class Insistent(Writer):
    """A writer of crash.py that looks closely at what it is refused with. Its server lives, so a broken connection is wrong."""

    def __init__(self, told, *more):
        super().__init__(*more)
        self.told, self.heard, self.at = told, 0, 0
        self.conn.timeout = ANSWER

    def attempt(self, who, method, path, payload, key):
        if time.monotonic() - self.heard > 2:
            self.conn.close()  # the server does not keep idle ones
        if who not in self.tokens:
            status, _, body, code = self.told.hear("writer's token", self.conn, "POST", "/oauth/token", "grant_type=client_credentials", basic(self.secrets[who]))
            if status != 200:
                return f"{status} {code} for a token"
            self.tokens[who] = json.loads(body)["access_token"]
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json", "Idempotency-Key": key}
        status, headers, body, code = self.told.hear("writer", self.conn, method, path, payload, headers)
        self.heard = time.monotonic()
        if status == 401:
            self.tokens.pop(who)  # it has expired
        if status in (None, 401, *range(500, 600)) or RETRIED.get(status) == code:
            return f"{status} {code}"
        self.at = self.heard
        return status, headers, body

    def batch(self, who):
        rows = [self.statement(who, "B") for _ in range(self.rng.choice((2, 10, 40)))]
        self.deliver("batch", who, "/v1/status-reports/batch", {"reports": rows}, [row["external_id"] for row in rows], 200, "created", 1)


class Reader(threading.Thread):
    """Reads as a partner and as the vendor, signs in, and asks whether the server is ready, again and again."""

    def __init__(self, house, told, secrets, stop):
        super().__init__(daemon=True)
        self.house, self.told, self.secrets, self.stop, self.tokens, self.ready = house, told, secrets, stop, {}, 0

    def look(self, who):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=ANSWER)) as line:
            status, _, body, _ = self.told.hear("sign-in", line, "POST", "/oauth/token", "grant_type=client_credentials", basic(self.secrets[who]))
            if status == 200:
                self.tokens[who] = json.loads(body)["access_token"]
            if who in self.tokens:
                self.told.hear("vendor" if who == "vendor" else "partner", line, "GET", "/v1/customers", None, {"Authorization": f"Bearer {self.tokens[who]}"})

    def run(self):
        try:
            while not self.stop.wait(0.05):
                for who in self.secrets:
                    self.look(who)
                line = http.client.HTTPConnection("127.0.0.1", self.house.ops, timeout=ANSWER)
                with contextlib.closing(line):
                    status, _, body = ask(line, "GET", "/readyz")
                with self.told.lock:
                    self.told.others["/readyz", status if status == 200 else body.decode().strip()] += 1
                self.ready = time.monotonic() if status == 200 else 0
        except Exception as cause:
            self.told.wrong.append(f"the reader: {cause!r}")


def outage(house, ledger, told, writers, reader, this):
    """One round; prints its figures."""
    house.psql("ANALYZE")  # as autovacuum does a minute after the first rows, and a fall puts it off
    before, acknowledged = house.life(), ledger.count
    told.turn({*this.codes, *DOWN})
    house.fallen, begun = False, time.monotonic()
    this.begin()
    since = time.monotonic()
    while time.monotonic() < since + this.seconds or sum(told.refused.values()) < ENOUGH:
        if time.monotonic() > begun + GUARD:
            raise RuntimeError(f"{this.name}: within {GUARD} s {dict(told.refused)} refused{', and PostgreSQL ran' * this.falls}, which shows nothing")
        if this.keep:
            this.keep()
        if this.falls and not house.fallen:
            since = time.monotonic()
        time.sleep(0.1)
    meanwhile = ledger.count - acknowledged
    this.end()
    ended = time.monotonic()
    # Well again is who is acknowledged, served and ready, and refused nothing for a second.
    until(f"{this.name}: well again", lambda: reader.ready > ended and all(writer.at > ended or not writer.is_alive() for writer in writers))
    served = time.monotonic()
    until(f"{this.name}: the end of refusals", lambda: time.monotonic() > told.last + 1)
    well, others, refused, slowest, after = max(served, told.last) - ended, told.others, +told.refused, told.slowest, house.life()
    told.turn(())
    time.sleep(1)  # nothing but full pools may be told now
    if this.falls != (before != after):
        told.wrong.append(f"{this.name}: PostgreSQL {'ran' if this.falls else 'fell'}, which shows nothing")
    if before == after:
        told.wrong += [f"{this.name}: {code} is told, though PostgreSQL ran" for code in {*refused} - {*this.codes, "overloaded"}]
        unserved = [(who, what, n) for (who, what), n in others.items() if who in this.spared and what not in (200, "overloaded")]
        told.wrong += [f"{this.name}: {who} {what}, {n} times, though PostgreSQL ran" for who, what, n in unserved]
        told.wrong += [f"{this.name}: {who} was not served" for who in this.spared if not others[who, 200]]
        told.wrong += [f"{this.name}: {who} is served from what is old" for who in this.starved if not others[who, this.codes[0]]]
        told.wrong += [f"{this.name}: {this.codes[0]} is never told, which shows nothing"] * (not refused[this.codes[0]])
    aside = ", ".join(f"{who} {what}: {n}" for (who, what), n in sorted(others.items(), key=str) if not who.startswith("writer"))
    print(f"{this.name}: {meanwhile} acknowledged meanwhile; refused {dict(refused)}, the slowest after {slowest * 1000:.0f} ms; {aside}; "
          f"PostgreSQL {'ran' if before == after else 'fell'}; well again after {well * 1000:.0f} ms", flush=True)


def run(name, house, rounds, seed):
    """Brings one house low in every way, and recounts; everything that is wrong."""
    ledger, told, secrets, customers, stop, end, server = Ledger(f"{house.dir}/ledger"), Told(), {}, {}, threading.Event(), threading.Event(), house.serve()
    try:
        made = house.todoku("vendor", "create", "--name", "Full")
        secrets["vendor"] = made["client_id"], made["client_secret"]
        founder, *writers = [Insistent(told, f"{n}", seed, house.port, ledger, secrets, customers, stop) for n in range(7)]
        channels = people(founder, secrets, customers, "ABCDEF")
        reader = Reader(house, told, {who: secrets[who] for who in ("vendor", "Partner A")}, end)
        for thread in (reader, *writers):
            thread.start()
        time.sleep(1)
        for this in rounds:
            outage(house, ledger, told, writers, reader, this)
        settle(house, writers, stop)
        for writer in writers:
            for one in writer.rng.sample(writer.done, min(40, len(writer.done))):
                writer.replay(*one)
        end.set()
        reader.join(GUARD)
        house.psql("ANALYZE")
        wrong = check(house, ledger, channels)
        done = {request for request, in house.rows("SELECT DISTINCT request_id FROM todoku.audit_entry WHERE outcome = 'done'")}
        done = Counter(code for request, code in told.ids.items() if request and decode(request) in done)
        wrong += [f"{n} requests were refused with {code}, and done" for code, n in done.items() if code != "outcome-unknown"]
        kept = ", ".join(f"{house.rows(f'SELECT count(*) FROM todoku.{table}')[0][0]} {table}" for table in ("status_report", "customer", "event", "audit_entry"))
        kinds = Counter(line["kind"] for line in ledger.lines())
        print(f"{name}: {ledger.count} acknowledged, {dict(kinds)}; kept {kept}; refused and done {dict(done)}; met {dict(+ledger.met)}", flush=True)
        if server.poll() is None:
            house.stop(server)
            wrong += [f"the server does not stop well: {server.returncode}"] * (server.returncode != 0)
        else:
            wrong.append(f"the server ended by itself, with {server.returncode}")
    except (RuntimeError, subprocess.SubprocessError) as cause:
        wrong = [f"the run was broken off: {cause!r}"]
    finally:
        stop.set()
        end.set()
        house.stop(server)
    wrong = [f"{name}: {problem}" for problem in told.wrong + ledger.wrong + wrong]
    if wrong:
        print(*[line for line in house.said().splitlines() if " ERROR " in line][-5:], sep="\n")
    return wrong


def disk(house):
    """The rounds of the full disk."""
    # At odd times it would analyze a catalogue, which removes a file; whoever signs in writes it again, and cannot.
    house.psql("ALTER SYSTEM SET autovacuum = off;\nSELECT pg_reload_conf()")
    for name, first, last in (("at once", 0, 0), ("by and by, but for half a page", LEFT, HALF)):
        begin, keep = partial(house.fill_tables, first, last), partial(house.fill, last)
        yield Round(f"disk full, {name}", begin, keep, house.empty, 4, ("storage-exhausted",), ("vendor", "partner", "sign-in", "/readyz"), False)
    for seconds in (3, 13):  # what is known of the tenants is good for ten
        yield Round(f"WAL full, {seconds} s", house.fill_wal, house.fill_wal, house.empty, seconds, ("storage-exhausted",), (), True)


def connections(house):
    """The rounds of the denied connections."""
    others = ("vendor", "sign-in", "/readyz")
    for roles, left, seconds, spared, starved in ((ROLES[:1], 1, 3, others, ()), (ROLES[:1], 0, 3, others, ()), (ROLES[3:], 0, 13, (), ("vendor", "partner")), (ROLES, 0, 13, (), ("vendor", "partner"))):
        name = f"connections of {'all' if roles is ROLES else roles[0]}: {left}"
        yield Round(name, partial(house.allow, roles, left), None, partial(house.allow, roles, -1), seconds, DOWN, spared, False, starved)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=os.path.abspath)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--part", choices=("disk", "connections"))
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    wrong = []
    print(f"seed {options.seed}", flush=True)
    for name, rounds in (("disk", disk), ("connections", connections)):
        if options.part not in (None, name):
            continue
        house = Full(options.binary)
        try:
            if rounds is disk and (refused := house.mount()):
                print(f"disk: NOT RUN: {refused}", flush=True)
                wrong += ["asked for by name, and not run"] * (options.part == "disk")
                continue
            wrong += run(name, house, rounds(house), options.seed)
        finally:
            house.leave()
    print(*[f"WRONG: {problem[:600]}" for problem in wrong[:10]], sep="\n", end="\n" * bool(wrong))
    print(f"{len(wrong)} things are wrong" if wrong else "all was told, and everything acknowledged is there, exactly once")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
