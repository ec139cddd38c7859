"""Whether the time of an answer tells what its words do not: two requests that are answered alike, asked in turn on one connection, and Welch's t of their times
(SECURITY d 24 and b). Rows of the table of load.py. Beside each pair stands a control: two requests of one kind, which must pass as well.
"""

import base64
import gc
import math
import random
import socket
import statistics
import time
import uuid
import zlib

PAIRS = 20_000  # of each comparison
TRIMMED = 0.1  # of each side, the slowest: what else the machine did
T = 4.5  # beyond it two times differ
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def measure(bench, populate, type_id):
    words = bench.todoku("vendor", "create", "--name", "株式会社計時")
    bench.start()
    staff = bench.token(words["client_id"], words["client_secret"])
    ours, _ = (bench.call("POST", "/v1/partners", staff, {"external_id": name, "name": name, "kind": "reseller"})["id"] for name in ("P0", "P1"))
    client = bench.call("POST", f"/v1/partners/{ours}/clients", staff, {"name": "portal"})
    rows = dict(line.split("\t") for line in bench.psql("SELECT external_id, id FROM todoku.partner WHERE external_id IN ('P0', 'P1')").split("\n"))
    populate(bench, bench.psql("SELECT id FROM todoku.vendor"), 1, 1000, [rows["P0"], rows["P1"]])
    foreign = [type_id("cus", one) for one in bench.psql(f"SELECT id FROM todoku.customer WHERE partner_id = '{rows['P1']}'").split()]
    assert len(foreign) == 500
    bench.psql("VACUUM ANALYZE")

    def sign_in(who):
        basic = base64.b64encode(f"{who}:{secret()}".encode()).decode()
        body = "grant_type=client_credentials"
        return (f"POST /oauth/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

    unknown = lambda: sign_in(type_id(client["id"].split("_")[0], fresh()))  # noqa: E731
    compared(bench, "sign-in of a client there is and of one there is not", b"401", lambda: sign_in(client["id"]), unknown)
    compared(bench, "the same, of two there are not", b"401", unknown, unknown)

    # A token lives five minutes, and a comparison takes less.
    bearer = lambda: bench.token(client["id"], client["client_secret"])  # noqa: E731
    read = lambda one, token: f"GET /v1/customers/{one} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()  # noqa: E731
    token = bearer()
    missing = lambda: read(type_id("cus", fresh()), token)  # noqa: E731
    compared(bench, "a customer of another partner's and one there is not", b"404", lambda: read(random.choice(foreign), token), missing)
    token = bearer()
    compared(bench, "the same, of two there are not", b"404", missing, missing)


def fresh():
    """An id of our form that nothing has."""
    number = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0b10 << 62 | random.getrandbits(62)
    return str(uuid.UUID(int=number))


def secret():
    """A well-formed secret that is nobody's."""
    body = f"tdklk_{''.join(random.choices(LETTERS, k=16))}_{''.join(random.choices(LETTERS, k=43))}"
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = LETTERS[digit] + digits
    return body + digits


def compared(bench, name, status, first, second):
    """Both kinds in pairs, in an order that chance makes, made before they are timed."""
    line = socket.create_connection(("127.0.0.1", bench.port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken = ([], [])
    gc.disable()
    try:
        for number in range(PAIRS + 500):
            pair = [(0, first()), (1, second())]
            random.shuffle(pair)
            for side, request in pair:
                begun = time.perf_counter_ns()
                line.sendall(request)
                answer = line.recv(65536)
                while not whole(answer):
                    answer += line.recv(65536)
                took = time.perf_counter_ns() - begun
                assert answer[9:12] == status, answer
                if number >= 500:  # the first warm what is cold
                    taken[side].append(took / 1000)
    finally:
        gc.enable()
        line.close()
    a, b = (sorted(side)[:int(len(side) * (1 - TRIMMED))] for side in taken)
    apart = statistics.fmean(a) - statistics.fmean(b)
    t = apart / math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    bench.row(f"time of {name}, {PAIRS:,} pairs", f"{apart:+.2f} us of {statistics.fmean(b):.0f}, t = {t:+.1f}", f"t of {T} either way", abs(t) / T, 1, at_least=False)


def whole(answer):
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.lower().find(b"\r\ncontent-length:", 0, head)
    return len(answer) >= head + 4 + int(answer[at + 17:answer.find(b"\r\n", at + 2)])
