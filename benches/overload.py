"""What happens beyond the limit: five times what can be served, slow clients, and a PostgreSQL that is stopped, killed, frozen or loses its connections.
The settings are the shipped ones but for the rates; rows of the table of load.py.

The load is made by clock.rs and not by wrk, which waits for answers: what is too much must arrive by the clock, answered or not. An answer's time counts from when
its request was due. Slow clients are crawl.rs. What these processes take of the machine is printed behind the rows: no server gets it.
"""

import collections
import gc
import itertools
import json
import os
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import time

PARTNERS = 8  # with three turns each at the shipped settings, they want four times the connections there are
EACH = 250  # customers of a partner
TIMES = 5
MOST = 2048  # connections an overload may take; the slow clients' come on top
SLOW = 1000
MADE = 6000  # requests per second made ahead where their rate is not known
STEADY = 150  # requests per second under which PostgreSQL goes away: well below what can be served
PAUSE = 2.0
PATIENCE = 20.0  # what has not come back by then has not come back

TRIPLE = struct.Struct("<3d")  # what clock.rs tells
clock = time.perf_counter

Answer = collections.namedtuple("Answer", "due at status")  # status 0: the connection broke, or there was none


def served(answers):
    return [answer for answer in answers if 200 <= answer.status < 300]


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def middle(values):
    return statistics.median(list(values))


def ms(seconds):
    return f"{seconds * 1000:,.0f} ms" if seconds < PATIENCE else f"not within {PATIENCE:.0f} s"


def others(loads):
    found = collections.Counter(answer.status or "broken" for load in loads for answer in load.answers if answer.status != 503 and not 200 <= answer.status < 300)
    return f"answers but 2xx and 503: {dict(found) or 'none'}"


class Load:
    """Sends requests, by a process of its own (clock.rs), and keeps when each was due, when it was answered, and how."""

    def __init__(self, bench, requests):
        self.bench, self.requests, self.answers = bench, requests, []

    def run(self, seconds, connections, rate=None, tick=None, pause=0.1):
        """By the clock if there is a rate, on as many connections as that takes; else each connection asks again when it is answered. `tick` is called about
        every `pause` and may end it by answering true. Ended, what is under way is waited for."""
        made, told = f"{self.bench.dir}/requests", b""
        # Made before the clock runs: what is spent on them is the server's.
        with open(made, "wb") as file:
            for request in itertools.islice(self.requests, int(1.1 * seconds * (rate or MADE))):
                file.write(struct.pack("<I", len(request)) + request)
        words = [f"{self.bench.asked.load}/clock", self.bench.port, seconds, connections, rate or 0, made]
        with subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as load:
            os.set_blocking(load.stdout.fileno(), False)
            while (some := load.stdout.read(1 << 20)) != b"":
                told += some or b""
                whole = len(told) // TRIPLE.size * TRIPLE.size
                self.answers.extend(Answer(due, at, int(status)) for due, at, status in TRIPLE.iter_unpack(told[:whole]))
                told = told[whole:]
                if self.answers and os.path.exists(made):
                    os.unlink(made)  # it has been read whole: none of it needs to reach the disk the commits wait for
                if tick and not load.stdin.closed and tick(clock()):
                    load.stdin.close()
                time.sleep(pause)
        if load.returncode:
            raise SystemExit(f"the load failed: {load.returncode}")
        (begun, *_), (end, self.share, used) = self.answers.pop(0), self.answers.pop()
        self.used = int(used)
        self.offered = len(self.answers) / (end - begun)
        self.goodput = len([answer for answer in served(self.answers) if answer.at <= end]) / (end - begun)
        return self


class Callers:
    """Partners with their customers, and the requests they send."""

    def __init__(self, bench, populate):
        self.bench, self.serial, self.run = bench, itertools.count(1), time.time_ns() % 10**12
        words = bench.todoku("vendor", "create", "--name", "株式会社計測")
        bench.start()
        staff = bench.token(words["client_id"], words["client_secret"])
        partners = [bench.call("POST", "/v1/partners", staff, {"external_id": f"P{n}", "name": f"P{n}", "kind": "reseller"})["id"] for n in range(PARTNERS)]
        self.clients = [bench.call("POST", f"/v1/partners/{partner}/clients", staff, {"name": "portal"}) for partner in partners]
        ids = bench.psql("SELECT id FROM todoku.partner WHERE external_id ~ '^P[0-9]+$' ORDER BY external_id").split()
        populate(bench, bench.psql("SELECT id FROM todoku.vendor"), 1, PARTNERS * EACH, ids)
        self.customers = [[row["id"] for row in bench.call("GET", "/v1/customers?limit=1000", token)["data"]] for token in self.tokens()]

    def tokens(self):
        return [self.token(client) for client in self.clients]

    def token(self, client):
        """Asked for until there is one: after an outage the first may be told to come back."""
        end = clock() + PATIENCE
        while True:
            try:
                return self.bench.token(client["id"], client["client_secret"])
            except OSError:
                if clock() > end:
                    raise
                time.sleep(0.2)

    def requests(self, reads):
        """The partners in turn; `reads` reads of a customer's health to one report. For as long as tokens live, five minutes."""
        return self.stream(reads, [f"Host: 127.0.0.1:{self.bench.port}\r\nAuthorization: Bearer {token}\r\n" for token in self.tokens()])

    def stream(self, reads, heads):
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
        for n in self.serial:
            partner = n % PARTNERS
            customer = random.choice(self.customers[partner])
            if n // PARTNERS % (reads + 1):
                yield f"GET /v1/customers/{customer}/health HTTP/1.1\r\n{heads[partner]}\r\n".encode()
                continue
            body = (f'{{"customer_id":"{customer}","external_id":"O{self.run}-{n}","period_end":"{day}","declared_band":"watch",'
                    f'"observations":[{{"measure":"adoption","value":{n % 100}}},{{"measure":"csat","value":70}}]}}')
            yield f"POST /v1/status-reports HTTP/1.1\r\n{heads[partner]}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def load(self, reads=4):
        return Load(self.bench, self.requests(reads))

    def rested(self, reads=4):
        """A load that begins with no jobs left of those before it."""
        end = clock() + 3 * PATIENCE
        while self.bench.psql("SELECT count(*) FROM ops.job") != "0":
            if clock() > end:
                raise SystemExit("jobs are left after a minute")
            time.sleep(0.1)
        return self.load(reads)


def beside_us():
    """What else the machine does, looked at for two seconds while the server rests."""
    look = lambda: [int(ticks) for ticks in open("/proc/stat", encoding="ascii").readline().split()[1:9]]  # noqa: E731
    time.sleep(1)
    before = look()
    time.sleep(2)
    took = [now - then for now, then in zip(look(), before)]
    return f"before it began the machine was {100 - 100 * (took[3] + took[4]) / sum(took):.0f} % busy with other things ({100 * took[7] / sum(took):.0f} % stolen by its host)"


def measure(bench, populate):
    gc.disable()  # there are no cycles, and looking for them again and again would take from the server
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MOST + SLOW + 1000, hard), hard))
    callers = Callers(bench, populate)
    told = [beside_us()]
    callers.load().run(bench.asked.seconds, 16)  # warm
    bench.psql("VACUUM ANALYZE")
    for name, reads in (("reports and reads 1:4", 4), ("reports alone", 0)):
        told.append(flood(bench, callers, name, reads))
    told.append(slow_clients(bench, callers))
    told.append(outages(bench, callers))
    print("\n" + "\n".join(told), flush=True)


# Too much -----------------------------------------------------------------------------------------------------------------------
def flood(bench, callers, name, reads):
    """Each flood stands between two measurements of the peak, as long as it is and begun like it with no jobs left, and is compared with these: the machine is not
    the same all the time, and work that is put off until later is no goodput. Short ones and four times as many: what the machine does meanwhile is a tenth and more."""
    seconds, rest, floods, memory = 1.5 * bench.asked.seconds, bench.resident_mb(), [], []
    at_peak = lambda connections: callers.rested(reads).run(seconds, connections)  # noqa: E731
    best = max((8, 16, 32), key=lambda connections: at_peak(connections).goodput)
    peaks = [at_peak(best)]
    for _ in range(4 * bench.asked.rounds):
        seen, next_look = [bench.resident_mb()], [0.0]

        def look(now, seen=seen, next_look=next_look):
            if now >= next_look[0]:
                seen.append(bench.resident_mb())
                next_look[0] = now + 0.1

        floods.append(callers.rested(reads).run(seconds, MOST, TIMES * peaks[-1].goodput, look))
        memory.append(max(seen))
        peaks.append(at_peak(best))
    ratios = [2 * load.goodput / (before.goodput + behind.goodput) for load, before, behind in zip(floods, peaks, peaks[1:])]
    goodput, peak = (middle(load.goodput for load in loads) for loads in (floods, peaks))
    bench.row(f"goodput at {TIMES} times capacity, {name}", f"{goodput:,.0f} /s", f"{peak:,.0f} /s ({best} connections)", middle(ratios), 0.9, at_least=True)
    refused = [[answer.at - answer.due for answer in load.answers if answer.status == 503] for load in floods]
    tail, half = (middle(percentile(times, part) for times in refused) for part in (0.99, 0.5))
    bench.row(f"its refusals, 99th percentile ({name})", f"{ms(tail)} (median {ms(half)})", "300 ms", tail / 0.3, 1, at_least=False)
    good = [[answer.at - answer.due for answer in served(load.answers)] for load in floods]
    tail, half = (middle(percentile(times, part) for times in good) for part in (0.99, 0.5))
    bench.row(f"its successes, 99th percentile ({name})", f"{ms(tail)} (median {ms(half)})", "", None, None, at_least=False)
    bench.row(f"resident memory in it, highest ({name})", f"{max(memory):.0f} MB ({rest:.0f} before, {bench.resident_mb():.0f} after)", "120 MB", max(memory) / 120, 1, at_least=False)
    half_way = memory[len(memory) // 2]  # the first rounds take what the server keeps for such times
    bench.row(f"the same, last round against the one half-way ({name})", f"{memory[-1]:.0f} MB", f"{half_way:.0f} MB", memory[-1] / half_way, 1.1, at_least=False)
    return (f"{name}: offered {middle(load.offered for load in floods):,.0f} /s on up to {max(load.used for load in floods)} connections; the load's own process took "
            f"{middle(load.share for load in floods) * 100:.0f} % of a core, at the peak {middle(load.share for load in peaks) * 100:.0f} %; {others(floods)}")


# Slow clients -------------------------------------------------------------------------------------------------------------------
class Crowd:
    """Slow clients, sent by a process of its own (crawl.rs): a byte a second each, half of them of a head and half of a body; who is sent away comes back."""

    def __init__(self, bench, port, token):
        self.process = subprocess.Popen([f"{bench.asked.load}/crawl", str(port), str(SLOW), token], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(12)  # they begin in the course of eleven seconds, a body's time and one more: from then on as many are sent away in each as in any other

    def worked(self):
        return cpu_seconds(self.process.pid)

    def leave(self):
        """How many were connected, how many had been answered, how many cut off."""
        told = self.process.communicate()[0].split()
        if self.process.returncode or not told:
            raise SystemExit(f"the slow clients failed: {self.process.returncode}")
        return [int(number) for number in told]


Beside = collections.namedtuple("Beside", "goodput share memory open answered broken")


def slow_clients(bench, callers):
    """Rounds of three turns: without them, while they send to a socket nobody reads, and while they send to the server, which is compared with those of both other
    kinds before and behind it. Of a server that gave them nothing the second would be all to see; that there nobody is sent away and comes back is the server's."""
    alone = lambda: callers.rested().run(bench.asked.seconds, 16).goodput  # noqa: E731
    without, unheard, heard, rest = [], [], [], bench.resident_mb()

    def beside(port):
        crowd = Crowd(bench, port, callers.token(callers.clients[0]))
        try:
            begun, before = clock(), crowd.worked()
            goodput = alone()
            share, memory = (crowd.worked() - before) / (clock() - begun), bench.resident_mb()
        finally:
            counts = crowd.leave()
        return Beside(goodput, share, memory, *counts)

    def beside_nothing():
        with socket.create_server(("127.0.0.1", 0), backlog=2 * SLOW) as deaf:
            unheard.append(beside(deaf.getsockname()[1]))
        if unheard[-1][3:] != (SLOW, 0, 0):
            raise SystemExit(f"not all could connect to a socket nobody reads: {unheard[-1]}")

    for _ in range(3 * bench.asked.rounds):
        without.append(alone())
        beside_nothing()
        heard.append(beside(bench.port))
    without.append(alone())
    beside_nothing()
    ours, deaf = [turn.goodput for turn in heard], [turn.goodput for turn in unheard]
    against = lambda them: middle(2 * one / (before + behind) for one, before, behind in zip(ours, them, them[1:]))  # noqa: E731
    bench.row(f"goodput beside {SLOW:,} clients of a byte a second", f"{middle(ours):,.0f} /s", f"{middle(without):,.0f} /s without them", against(without), 0.95, at_least=True)
    bench.row("the same", f"{middle(ours):,.0f} /s", f"{middle(deaf):,.0f} /s while they send to a socket nobody reads", against(deaf), 0.95, at_least=True)
    memory = max(turn.memory for turn in heard)
    bench.row("resident memory with them", f"{memory:.0f} MB ({rest:.0f} before)", "120 MB", memory / 120, 1, at_least=False)
    shares = [middle(turn.share for turn in turns) * 100 for turns in (heard, unheard)]
    return (f"slow clients: {min(turn.open for turn in heard)} were connected at the least, {sum(turn.answered for turn in heard)} were answered and "
            f"{sum(turn.broken for turn in heard)} cut off, and came back; their own process took {shares[0]:.1f} % of a core, {shares[1]:.1f} % where nobody read")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# PostgreSQL goes away -----------------------------------------------------------------------------------------------------------
class Outage:
    """One round: under a steady load something is done to PostgreSQL, perhaps undone later, and watched until requests are served again."""

    def __init__(self, bench, callers, strike, mend=None, whole=True):
        self.bench, self.strike, self.mend, self.whole = bench, strike, mend, whole
        self.struck = self.mended = self.ready = self.over = None
        self.load = callers.load()
        self.before = self.postmaster()
        begun = clock()
        try:
            self.load.run(PATIENCE + PAUSE, 512, STEADY, lambda now: now > begun + 1 and self.tick(now), pause=0.003)
        finally:
            if self.mend and self.struck and not self.mended:
                self.mend(int(self.before[0]))
        self.answers = [answer for answer in self.load.answers if answer.at > self.struck]

    def postmaster(self):
        """The lines of its file: its id first, its state eighth."""
        try:
            return open(f"{self.bench.dir}/d/data/postmaster.pid", encoding="ascii").read().split("\n")
        except OSError:
            return []

    def tick(self, now):
        if self.struck is None:
            self.struck = now
            self.strike(int(self.before[0]))
        elif self.mend and self.mended is None:
            if now >= self.struck + PAUSE:
                self.mend(int(self.before[0]))
                self.mended = now
        else:
            lines = self.postmaster()
            if self.ready is None and lines[:1] != self.before[:1] and lines[7:8] and lines[7].strip() == "ready":
                self.ready = now
            if self.over is None and (self.refused() is None and now > self.struck + 2 or self.healthy() is not None and self.writes() is not None):
                self.over = now
            return self.over is not None and now > self.over + 0.5
        return False

    def refused(self):
        """When the first refusal came."""
        return next((answer.at for answer in self.load.answers if answer.at > self.struck and answer.status == 503), None)

    def healthy(self, statuses=range(200, 300)):
        """When the first success came of what was asked after the pause, or after the first refusal: a server that dies still ends what it is at."""
        since = self.mended or self.whole and self.refused() or self.struck
        return next((answer.at for answer in self.load.answers if answer.due > since and answer.status in statuses), None)

    def writes(self):
        """When the first report was taken: reads are answered 200."""
        return self.healthy((201,))

    def refusals(self):
        """How long all but one refusal of a hundred took at most."""
        return percentile([answer.at - answer.due for answer in self.answers if answer.status == 503], 0.99)


def outages(bench, callers):
    rounds, loads = max(5, bench.asked.rounds), []

    def repeat(*deeds, **how):
        found = []
        for _ in range(rounds):
            end = clock() + PATIENCE
            while not bench.is_ready() and clock() < end:
                time.sleep(0.1)
            time.sleep(0.5)
            found.append(Outage(bench, callers, *deeds, **how))
        loads.extend(one.load for one in found)
        return found

    def known(times):
        return middle(PATIENCE if time is None else time for time in times)

    def row(name, times, goal, beside=""):
        value = known(times)
        bench.row(name, ms(value), beside, value / goal if goal else None, 1 if goal else None, at_least=False)

    after = lambda moment, since: None if moment is None else moment - since  # noqa: E731
    for deed, how in (("stopped (SIGINT)", signal.SIGINT), ("killed (SIGKILL)", signal.SIGKILL)):
        found = repeat(lambda master, how=how: os.kill(master, how))
        row(f"PostgreSQL {deed}: first refusal", [after(one.refused(), one.struck) for one in found], 0.3)
        ready = known(after(one.ready, one.struck) for one in found)
        row(f"PostgreSQL {deed}: first success, from the signal", [after(one.healthy(), one.struck) for one in found], 1, f"{ms(ready)} (PostgreSQL ready again)")
        row(f"PostgreSQL {deed}: first report taken, from the signal", [after(one.writes(), one.struck) for one in found], 1, f"{ms(ready)} (PostgreSQL ready again)")
        row(f"PostgreSQL {deed}: refusals, 99th percentile", [one.refusals() for one in found], 0.3)
        row(f"PostgreSQL {deed}: longest answer", [longest(one.answers) for one in found], None)
    found = repeat(freeze, thaw)
    row(f"PostgreSQL frozen for {PAUSE:.0f} s: first refusal", [after(one.refused(), one.struck) for one in found], 0.3)
    row(f"PostgreSQL frozen for {PAUSE:.0f} s: first success after it", [after(one.healthy(), one.mended) for one in found], 1)
    row(f"PostgreSQL frozen for {PAUSE:.0f} s: first report taken after it", [after(one.writes(), one.mended) for one in found], 1)
    row(f"PostgreSQL frozen for {PAUSE:.0f} s: refusals, 99th percentile", [one.refusals() for one in found], 0.3)
    row(f"PostgreSQL frozen for {PAUSE:.0f} s: longest answer", [longest(one.answers) for one in found], None)
    found = repeat(reset, whole=False)
    lost = middle(len([answer for answer in one.answers if answer.status >= 500 or not answer.status]) for one in found)
    bench.row("connections of partners reset: requests refused or lost", f"{lost:.0f}", "6 (connections)", lost / 6, 1, at_least=False)
    row("connections of partners reset: first success", [after(one.healthy(), one.struck) for one in found], 1)
    row("connections of partners reset: first report taken", [after(one.writes(), one.struck) for one in found], 1)
    return f"outages: {rounds} rounds of each under {STEADY} /s; {others(loads)}"


def longest(answers):
    return max((answer.at - answer.due for answer in answers), default=None)


def children(master):
    return [int(pid) for pid in open(f"/proc/{master}/task/{master}/children", encoding="ascii").read().split()]


def freeze(master):
    os.kill(master, signal.SIGSTOP)  # from here on there are no more children
    for pid in children(master):
        os.kill(pid, signal.SIGSTOP)


def thaw(master):
    for pid in [*children(master), master]:
        os.kill(pid, signal.SIGCONT)


def reset(master):
    """What pg_terminate_backend does, without a connection of its own."""
    for pid in children(master):
        if open(f"/proc/{pid}/cmdline", encoding="utf-8").read().startswith("postgres: todoku_partner "):
            os.kill(pid, signal.SIGTERM)
