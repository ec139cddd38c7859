#!/usr/bin/env python3
"""The forged-token table (SECURITY (a) 14, c.2, d 15-26): every way to bend an access token, one named row each.

What belongs here: a row per forgery and the answer it must get. The issuer is an independent library, PyPI `jwcrypto`, which shares no code with Todoku; it
signs with the server's own key, unsealed from the database, so that a row is refused for the reason in its name and no other. That well-formed tokens so
made are accepted is proved first. Usage: tests/forged_tokens.py --binary target/debug/todoku (PostgreSQL's programs: $TODOKU_DATABASE__BIN_DIR)
"""
import argparse, base64, contextlib, hashlib, hmac, http.client, json, os, re, secrets, signal, sys, time, zlib
from collections import namedtuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from jwcrypto import jwe, jwk, jws, jwt
from jwcrypto.common import base64url_encode as b64
from jwcrypto.jwa import JWA

from house import House

LEAST, GONE = 80, object()  # GONE: a member to leave out
REFUSED, NONE_CAME = (401, "unauthenticated", 'Bearer error="invalid_token"'), (401, "unauthenticated", "Bearer")
CLAIMS = "iss aud sub client_id iat nbf exp jti scope ven par cep".split()
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519; below, its points of small order
SMALL = {1: "01" + 31 * "00", 2: "ec" + 30 * "ff" + "7f", 4: 32 * "00", 8: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}
# `seen` is all that a caller may compare: everything but the moment, the request's own id and the challenge.
Answer = namedtuple("Answer", "status headers json seen")


def within(seconds, look):
    """What `look` finds, looked for again and again."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


class Forgery(House):
    """A house whose master secret is known, so that its signing keys can be opened."""

    def __init__(self, binary):
        self.master = os.urandom(32)
        super().__init__(binary, LOG__LEVEL="info,todoku=debug", SECRETS__MASTER=base64.b64encode(self.master).decode())

    def call(self, headers, path="/v1/customers", method="GET", body=b"", port=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)) as line:
            line.putrequest(method, path, skip_accept_encoding=True)
            [line.putheader(name, value) for name, value in [*headers, ("Content-Length", str(len(body)))]]
            line.endheaders(body or None)
            got = line.getresponse()
            headers, body = {k.lower(): v for k, v in got.getheaders()}, got.read()
        seen = {k: v for k, v in headers.items() if k not in ("date", "x-request-id", "www-authenticate")}, re.sub(rb"req_[0-9a-z]{26}", b"req_", body)
        return Answer(got.status, headers, json.loads(body) if "json" in headers.get("content-type", "") else {}, seen)

    def keys(self):
        """The signing keys by state, opened as src/state.rs seals them: AES-256-GCM bound to the kid, the nonce behind."""
        opener, found = AESGCM(hmac.new(self.master, b"todoku signing key 1", hashlib.sha256).digest()), {}
        for state, kid, sealed in (line.split("\t") for line in self.psql("SELECT state, kid, encode(sealed_key, 'hex') FROM auth.signing_key").splitlines()):
            found[state] = jwk.JWK.from_pyca(load_der_private_key(opener.decrypt(bytes.fromhex(sealed[-24:]), bytes.fromhex(sealed[:-24]), kid.encode()), None))
            assert found[state].thumbprint() == kid, "the kid is not the RFC 7638 thumbprint"
        return found

    def grant(self, form, client=None, secret="", more=(), path="/oauth/token"):
        basic = [("Authorization", "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode())] if client else []
        return self.call([("Content-Type", "application/x-www-form-urlencoded"), *basic, *more], path, "POST", urlencode(form).encode())

    def token(self, made):
        """A token for a client just made: what one process changes the others know within a second."""
        return within(10, lambda: self.grant({"grant_type": "client_credentials"}, made["client_id"], made["client_secret"]).json.get("access_token")) or sys.exit(f"no token: {made}")


class Forge:
    """Makes tokens exactly as the server would, but for what is asked to be otherwise: members to change, or the very bytes."""

    def __init__(self, key, real):
        self.key, self.kid, self.real = key, key.thumbprint(), real

    def head(self, change=()):
        return json.dumps({k: v for k, v in {"typ": "at+jwt", "alg": "EdDSA", "kid": self.kid, **dict(change)}.items() if v is not GONE})

    def claims(self, change=()):
        fresh = {**self.real, **dict(zip(("iat", "nbf", "exp"), (int(time.time()) + s for s in (0, 0, 300)))), "jti": secrets.token_urlsafe(16), **dict(change)}
        return json.dumps({k: v for k, v in fresh.items() if v is not GONE})

    def text(self, head=(), claims=()):
        return ".".join(b64(part if isinstance(part, (str, bytes)) else make(part)) for part, make in ((head, self.head), (claims, self.claims)))

    def sign(self, text, key=None, alg="EdDSA"):
        return JWA.signing_alg(alg).sign(key or self.key, text.encode())

    def seal(self, text, key=None, alg="EdDSA"):
        return f"{text}.{b64(self.sign(text, key, alg))}"

    def make(self, head=(), claims=(), key=None, alg="EdDSA"):
        return self.seal(self.text(head, claims), key, alg)


def bearer(token, kind="Bearer"):
    return [("Authorization", f"{kind} {token}")]


def payload(token):
    return json.loads(jws.JWS.from_jose_token(token).objects["payload"])


def loose(data):
    """base64url whose unused last bits are not zero: another spelling of the same bytes. JSON may end in a blank."""
    text = b64(data + b" " * (len(data) % 3 == 0))
    return text[:-1] + chr(ord(text[-1]) + 1)


def each(member, make, *values):
    return {f"{member} {'missing' if value is GONE else ascii(value)[:50]}": make({member: value}) for value in values}


def under(prefix, rows, make):
    return {f"{prefix} {name}".strip(): make(row) for name, row in rows.items()}


def keyed(f, house):
    """Signed by another algorithm or key, or with another header: tokens by name."""
    x, public, make, jwks, head = base64.urlsafe_b64decode(f.key.export_public(as_dict=True)["x"] + "="), f.key.export_public(), f.make, house.url + "/.well-known/jwks.json", f.head()
    yield from [under(f"alg {alg!r}", {"unsigned": ".", "in two parts": ""}, (f.text({"alg": alg})).__add__) for alg in ("none", "None", "NONE", "nOnE", "")]
    pem, der = [f.key.get_op_key("verify").public_bytes(kind, PublicFormat.SubjectPublicKeyInfo) for kind in (Encoding.PEM, Encoding.DER)]
    known = {"raw public key": x, "x": b64(x).encode(), "PEM": pem, "stripped PEM": pem.strip(), "DER": der, "JWK": public.encode(), "JWKS": house.call([], jwks).seen[1], "empty": b""}
    for alg, text in {alg: f.text({"alg": alg}) for alg in ("HS256", "HS512")}.items():
        yield under(f"{alg} with the", known, lambda secret: f"{text}.{b64(hmac.new(secret, text.encode(), 'sha' + alg[2:]).digest())}")
    theirs, rsa, p256 = [jwk.JWK.generate(**kind) for kind in (dict(kty="OKP", crv="Ed25519"), dict(kty="RSA", size=2048), dict(kty="EC", crv="P-256"))]
    for alg, key in {"EdDSA": theirs, "RS256": rsa, "PS256": rsa, "ES256": p256}.items():
        own, shown = {"kid": key.thumbprint()}, {"jwk": key.export_public(as_dict=True)}
        yield under(f"{alg} with another key", {"": {}, "by its kid": own, "as jwk": shown, "as jwk by its kid": {**own, **shown}}, lambda change: make({"alg": alg, **change}, key=key, alg=alg))
    for n, point in SMALL.items():  # R the neutral point and S zero: such a key "signs" everything
        weak, nought = jwk.JWK(kty="OKP", crv="Ed25519", x=b64(bytes.fromhex(point))), "." + b64(bytes.fromhex(SMALL[1]) + bytes(32))
        yield under(f"key of order {n}", {"by its kid": {"kid": weak.thumbprint()}, "as jwk": {"jwk": weak.export_public(as_dict=True)}}, lambda change: f.text(change) + nought)
    yield {"Ed448 with another key": make(key=jwk.JWK.generate(kty="OKP", crv="Ed448"))}
    yield each("alg", make, "none", "", "HS256", "RS256", "ES256", "Ed25519", "Ed448", "eddsa", "EDDSA", "EdDSA ", None, 1, ["EdDSA"], GONE)
    yield each("kid", make, "", theirs.thumbprint(), f.kid + " ", f.kid + "\0", f.kid.swapcase(), f.kid[:-1], None, 1, [f.kid], {"kid": f.kid}, GONE, "../../dev/null", "' OR 1=1 --", jwks)
    yield each("typ", make, GONE, "", "JWT", "jwt", "AT+JWT", "at+JWT", "at+jwt ", "application/at+jwt", "logout+jwt", "dpop+jwt", None, 1, ["at+jwt"])
    more = ({"crit": ["x"], "x": 1}, {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"jwk": json.loads(public)}, {"jku": jwks}, {"zip": "DEF"},
            {"x5u": jwks}, {"x5c": [b64(der)]}, {"x5t": b64(x)}, {"x5t#S256": b64(x)}, {"cty": "JWT"}, {"cty": None}, {"enc": "A256GCM"}, {"nonce": "x"}, {"foo": 1}, {"": 1}, {"Alg": "EdDSA"})
    yield under("extra header", {json.dumps(extra)[:40]: extra for extra in more}, make)
    yield under("header", {
        "kid twice, bad first": '{"kid":"x",' + head[1:], "kid twice, bad last": head[:-1] + ',"kid":"x"}', "typ twice": '{"typ":"JWT",' + head[1:], "alg twice, equal": head[:-1] + ',"alg":"EdDSA"}',
        "alg twice, bad first": '{"alg":"none",' + head[1:], "alg twice, bad last": head[:-1] + ',"alg":"none"}', "alg twice, once escaped": head[:-1] + ',"\\u0061lg":"EdDSA"}',
        "array of the members": json.dumps(["EdDSA", f.kid, "at+jwt"]), "array with the object": f"[{head}]", "string": json.dumps(head), "null": "null", "not JSON": "x", "empty": "",
        "with bytes behind": head + "x", "doubled": head * 2, "with a BOM": "\ufeff" + head, "cut short": head[:-1], "in UTF-16": head.encode("utf-16"), "with a comment": head[:-1] + "/**/}"}, make)


def spelled(f):
    """Spelled, cut or signed in another way: tokens by name."""
    good, head, made = f.make(), f.head().encode(), jws.JWS(f.claims())
    (h, p, s), sig = good.split("."), f.sign(good.rsplit(".", 1)[0])
    made.add_signature(f.key, protected=f.head())
    flat, general = made.serialize(compact=False), json.dumps({"payload": p, "signatures": [{"protected": h, "signature": s}]})
    sealed = jwe.JWE(good.encode(), '{"alg":"dir","enc":"A256GCM"}', recipient=jwk.JWK(kty="oct", k=f.key.export_public(as_dict=True)["x"])).serialize(True)
    yield {"one part": h, "two parts": f"{h}.{p}", "four parts": good + ".AAAA", "five parts": good + ".AAAA.AAAA", "dot behind": good + ".", "dot before": "." + good, "letters": "a.b.c",
           "no header": f".{p}.{s}", "no payload": f"{h}..{s}", "no signature": f"{h}.{p}.", "only dots": "..", "one dot": ".", "null": "null", "no header, signed so": f.seal("." + p),
           "no payload, signed so": f.seal(h + "."), "dots as %2E": good.replace(".", "%2E"), "in quotes": f'"{good}"', "in base64url again": b64(good), "longer than 4 KiB": f.make((), {"jti": "x" * 4096}),
           "padding in the header": f.seal(f"{h}{'=' * (-len(h) % 4 or 1)}.{p}"), "padding in the payload": f.seal(f"{h}.{p}{'=' * (-len(p) % 4 or 1)}"), "padding in the signature": good + "==",
           "unused bits in the header": f.seal(f"{loose(head)}.{p}"), "unused bits in the payload": f.seal(f"{h}.{loose(f.claims().encode())}"), "unused bits in the signature": f"{h}.{p}.{loose(sig)}",
           "deflated payload": f.seal(f"{h}.{b64(zlib.compress(f.claims().encode())[2:-4])}"), "nested JWT": f.make((), good), "nested JSON": f.make((), json.dumps(good)), "JWE": sealed,
           "standard alphabet in the payload": f.seal(f.text((), {"jti": "???>>>"}).replace("-", "+").replace("_", "/")),
           "standard alphabet in the signature": next(t for t in iter(f.make, None) if set("-_") & set(t)).replace("-", "+").replace("_", "/"),
           "header respelled": f"{b64(head.replace(b' ', b''))}.{p}.{s}", "payload of another token": f"{h}.{b64(f.claims())}.{s}",
           "flattened": flat, "general": general, "flattened in base64url": b64(flat), "general in base64url": b64(general)}
    yield {f"{behind[:9]!r} behind": good + behind for behind in ("A", "AAAA", "%00", ",", ";", "~", ", Bearer " + good, " " + good)}
    for place, put in {"header": lambda gap: f.seal(f"{h[:9]}{gap}{h[9:]}.{p}"), "payload": lambda gap: f.seal(f"{h}.{p[:9]}{gap}{p[9:]}"), "signature": lambda gap: good[:-9] + gap + good[-9:]}.items():
        yield under(f"in the {place}", {repr(gap): gap for gap in (" ", "\t", "%20", "%0A", "\\n")}, put)
    yield under("signature", {
        **{f"byte {i} flipped": sig[:i] + bytes([sig[i] ^ 1]) + sig[i + 1:] for i in (0, 1, 15, 31, 32, 47, 62, 63)}, **{f"cut to {n} bytes": sig[:n] for n in (1, 32, 63)},
        **{f"S + {k} L": sig[:32] + (int.from_bytes(sig[32:], "little") + k * ORDER).to_bytes(32, "little") for k in (1, 2, 14)}, "S = L": sig[:32] + ORDER.to_bytes(32, "little"),
        **{f"R of order {n}, S zero": bytes.fromhex(point) + bytes(32) for n, point in SMALL.items()}, "zeroed": bytes(64), "all ones": b"\xff" * 64, "random": os.urandom(64),
        "a byte longer": sig + b"\0", "twice": sig * 2, "swapped": sig[32:] + sig[:32], "in hex": sig.hex(), "in base64 twice": b64(sig), "S zero": sig[:32] + bytes(32),
        "sign of R flipped": sig[:31] + bytes([sig[31] ^ 128]) + sig[32:], "of the header": f.sign(h), "of another": f.sign(f.text())}, lambda bent: f"{h}.{p}.{b64(bent)}")


def claimed(f, house, who):
    """Bent claims under a right signature: tokens by name."""
    now, text, url, real, a, b, s = int(time.time()), f.claims(), house.url, f.real, who["a"], who["b"], who["s"]
    ids, bend, exp = lambda prn: {"sub": prn, "client_id": prn}, lambda change: f.make((), change), lambda to: re.sub(r'"exp": (\d+)', to, text)
    for claim, right in json.loads(text).items():
        number = claim in ("iat", "nbf", "exp", "cep")
        yield each(claim, bend, GONE, str(right) if number else 1, float(right) if number else [right], 1e300, -1e300, 1.5, None, True, False, [], {}, 2**63, 2**64)
    strangers = ("https://evil.example", "", url + "/", url.upper(), url.replace("http", "https"), url + "0", f"{url} {url}", real["sub"], [url, "https://evil.example"], ["https://evil.example", url])
    yield from (each(claim, bend, *strangers) for claim in ("iss", "aud"))
    nobody = real["sub"][:-4] + ("0000" if real["sub"][-4:] != "0000" else "1111")
    yield under("claims:", {
        "exp past by 6 s": dict(iat=now - 200, nbf=now - 200, exp=now - 6), "exp past by a day": dict(iat=now - 86700, nbf=now - 86700, exp=now - 86400), "exp 0": dict(exp=0),
        "life of 301 s": dict(exp=now + 300, iat=now - 1), "life of an hour": dict(exp=now + 3600), "iat 0": dict(iat=0, nbf=0), "exp at iat": dict(exp=now), "exp before iat": dict(exp=now - 1),
        "nbf in 60 s": dict(nbf=now + 60), "iat in 20 s": dict(iat=now + 20), "iat in 60 s": dict(iat=now + 60), "all in 60 s": dict(iat=now + 60, nbf=now + 60, exp=now + 360), "exp enormous": dict(exp=2**63 - 1),
        "iat and exp enormous": dict(iat=2**63 - 2, exp=2**63 - 1), "exp negative": dict(exp=-1), "iat the least": dict(iat=-(2**63)), "all negative": dict(iat=-200, nbf=-200, exp=-1),
        "nbf enormous": dict(nbf=2**63 - 1), "cep old": dict(cep=real["cep"] - 1), "cep new": dict(cep=real["cep"] + 1), "cep negative": dict(cep=-1), "par empty": dict(par=""),
        "ven of another vendor": dict(ven=b["vendor"]), "par of another vendor's": dict(par=b["partner"]), "ven and par of another vendor": dict(ven=b["vendor"], par=b["partner"]),
        "par of another partner": dict(par=s["partner"]), "another partner's client": ids(s["client_id"]), "another vendor's client": ids(b["client_id"]), "the vendor's client": ids(a["client_id"]),
        "the vendor's client, par null": {**ids(a["client_id"]), "par": None}, "the vendor's client, another ven": {**ids(a["client_id"]), "par": GONE, "ven": b["vendor"]}, "nobody": ids(nobody),
        "sub of another client": {"sub": s["client_id"]}, "client_id of another": {"client_id": s["client_id"]}, "ven of nobody": dict(ven="ven" + nobody[3:]), "par of nobody": dict(par="par" + nobody[3:]),
        "sub upper case": ids(real["sub"].upper()), "sub a partner": ids(real["par"]), "ven a UUID": dict(ven="0188bac7-4afa-78aa-bc3b-bd1eef28d881"), "admin": {"admin": True}, "nameless": {"": 1}}, bend)
    identity = json.dumps(dict(iss=url, sub=real["sub"], aud=real["client_id"], iat=now, exp=now + 300, nonce="n", auth_time=now))
    yield under("payload", {
        "not JSON": "x", "empty": "", "null": "null", "{}": "{}", "array with the object": f"[{text}]", "array in the order of c.2": json.dumps([json.loads(text)[k] for k in CLAIMS]),
        "with bytes behind": text + "x", "not UTF-8": text.encode()[:-3] + b'\xff"}', "with a BOM": "\ufeff" + text, "in UTF-16": text.encode("utf-16"), "exp twice, bad first": '{"exp":1,' + text[1:],
        "exp twice, bad last": text[:-1] + ',"exp":1}', "exp twice, equal": exp(r'"exp": \1, "exp": \1'), "ven twice": text[:-1] + f',"ven":"{b["vendor"]}"}}', "par twice": text[:-1] + ',"par":null}',
        "sub twice, once escaped": text[:-1] + f',"s\\u0075b":"{a["client_id"]}"}}', "exp 1e400": exp('"exp": 1e400'), "exp NaN": exp('"exp": NaN'), "exp -0": exp('"exp": -0'),
        "exp with e0": exp(r'"exp": \1e0'), "exp with 0 before": exp(r'"exp": 0\1'), "deep": "[" * 999 + "]" * 999, "of an ID token": identity}, bend)
    yield {"ID token": f.make({"typ": "JWT"}, identity)}


def carried(f, house, who):
    """How a token is carried and what it is used for: names, headers, the answer, the path, the method."""
    good, basic = f.make(), base64.b64encode(f"{who['p']['client_id']}:{who['p']['client_secret']}".encode()).decode()
    for value in ("Bearer", good, "Bearer" + good, f"Basic {good}", f"Basic {basic}", f"DPoP {good}", f"Bearer Bearer {good}", f"Bearer={good}", f"Bearer token={good}", "", f"Bearer {good}é"):
        yield f"Authorization {value[:14]!r}...{value[-3:]!r}", [("Authorization", value.encode())], REFUSED
    yield "no Authorization", [], NONE_CAME
    yield "in other headers", [("X-Authorization", f"Bearer {good}"), ("Cookie", f"access_token={good}")], NONE_CAME
    yield "in the query", [], NONE_CAME, f"/v1/customers?access_token={good}"
    for first, last in ((good, good), (good, "x"), ("x", good)):
        yield f"two Authorization headers, {first[:5]} and {last[:5]}", bearer(first) + bearer(last), (400, "malformed-request", None)
    for gap in ("\r\n ", "\n ", "\0"):  # these the HTTP layer refuses, without a body (SECURITY c.11)
        yield f"{gap!r} inside", bearer(good[:50] + gap + good[50:]), (400, None, None)
    # A scope beyond the grant: the token is taken, the operation refuses.
    narrow, every = Forge(f.key, payload(house.token(who["n"]))), f"{f.real['scope']} partners:manage clients:manage scorecards:manage"
    for path, method, scope in (("measures", "GET", every), ("partners", "POST", every), ("insights/channels", "GET", "insights:read"), ("customers", "POST", every), ("customers", "GET", ""),
                                ("customers", "GET", "Customers:Read"), ("customers", "GET", "*"), ("customers", "GET", "customers:read,health:read")):
        yield f"scope {scope[:30]!r}, {method} {path}", bearer(narrow.make((), {"scope": scope})), (403, "insufficient-scope", None), f"/v1/{path}", method
    yield "scope beyond the grant, GET customers", bearer(narrow.make((), {"scope": every})), (200, None, None)


class Table:
    """Counts, compares and tells."""
    names, failed, first, checks = set(), 0, None, 0

    def check(self, name, holds, what=""):
        self.checks, self.failed = self.checks + 1, self.failed + (not holds)
        holds or print(f"FAIL  {name[:70]:70}  {what}")

    def judge(self, name, answer, wanted=REFUSED):
        assert name not in self.names, name
        self.names.add(name)
        got, self.first = (answer.status, answer.json.get("code"), answer.headers.get("www-authenticate")), self.first or answer.seen
        same = got[0] != 401 or answer.seen == self.first
        if got != wanted or not same:
            self.check(name, False, f"must be {wanted}, was {got}" if same else f"is told apart: {answer.seen} from {self.first}")


def endings(table, house, f, who):
    """What was good and is no more: a revoked client, a retired key, a deleted key; each within two seconds."""
    def ends(name, token, end):
        table.check(f"{name}, before", house.call(bearer(token)).status == 200)
        end()
        within(2, lambda: house.call(bearer(token)).status == 401)
        table.judge(name, house.call(bearer(token)))

    real = payload(house.token(who["r"]))
    ends("revoked client", Forge(f.key, real).make(), lambda: house.todoku("client", "revoke", "--vendor", real["ven"], "--partner", real["par"], "--client", real["sub"]))
    [table.judge(f"revoked client, cep + {step}", house.call(bearer(Forge(f.key, real).make((), {"cep": real["cep"] + step})))) for step in (1, 2)]
    house.todoku("keys", "rotate")
    # Nobody but this server knows keys, and it looks each second: no need to leave ten minutes between.
    house.todoku("keys", "rotate", "--at-once")
    keys = house.keys()
    within(10, lambda: keys["next"].thumbprint().encode() in house.call([], "/.well-known/jwks.json").seen[1])
    ends("retired key", f.make(), lambda: house.psql("UPDATE auth.signing_key SET passive_from = passive_from - interval '16 minutes' WHERE state = 'passive'"))
    ends("deleted key", Forge(keys["next"], f.real).make(), lambda: house.psql("DELETE FROM auth.signing_key WHERE state = 'next'"))
    table.check("the active key in the end", house.call(bearer(Forge(keys["active"], f.real).make())).status == 200)


def token_endpoint(table, house, f, who):
    """SECURITY d 23-26, in the words of RFC 6749."""
    p, b, form, once = who["p"], who["b"], {"grant_type": "client_credentials"}, [("grant_type", "client_credentials")]
    mine, theirs = (p["client_id"], p["client_secret"]), {"client_id": b["client_id"], "client_secret": b["client_secret"]}
    assertion = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": f.make(), "client_id": p["client_id"]}
    wrong = house.grant(form, p["client_id"], b["client_secret"])
    for name, got in {"wrong secret": wrong, "unknown client": house.grant(form, "prn" + b["vendor"][3:], mine[1]), "bad check digits": house.grant(form, mine[0], mine[1][:-6] + "000000"),
                      "no credentials": house.grant(form), "credentials in the body": house.grant({**form, **theirs}), "access token as assertion": house.grant({**form, **assertion}),
                      "credentials in the query": house.grant(form, path="/oauth/token?" + urlencode(theirs)), "access token as bearer": house.grant(form, more=bearer(f.make()))}.items():
        told = got.status, got.json.get("error"), got.headers.get("www-authenticate", "")[:5], got.seen == wrong.seen
        table.check(f"token endpoint: {name}", told == (401, "invalid_client", "Basic", True), got)
    for error, forms in {"unsupported_grant_type": [{"grant_type": grant} for grant in ("password", "authorization_code", "refresh_token", "")],
                         "invalid_scope": [{**form, "scope": scope} for scope in ("partners:manage", "customers:read partners:manage", "x", "")],
                         "invalid_request": [[], once * 2, once + [("scope", "customers:read")] * 2, [*once, ("grant_type", "password")]]}.items():
        for got in (house.grant(sent, *mine) for sent in forms):
            table.check(f"token endpoint: {error}", (got.status, got.json.get("error"), got.headers.get("cache-control")) == (400, error, "no-store"), got)
    got = house.grant({**form, **theirs}, *mine)
    table.check("token endpoint: another's credentials in the body are ignored", got.status == 200 and payload(got.json["access_token"])["sub"] == p["client_id"], got)


def people(house):
    """Two vendors; clients of the first: its own, a narrow one, two of its direct partner, one of another partner."""
    a, b = [house.todoku("vendor", "create", "--name", name) for name in ("株式会社カンリ", "Other Vendor")]
    mint = lambda *more: house.todoku("client", "mint", "--vendor", a["vendor"], "--name", "portal", *more)
    new = json.dumps({"external_id": "P-1", "name": "株式会社ひかり販売", "kind": "reseller"}).encode()
    other = house.call([("Content-Type", "application/json"), *bearer(house.token(a))], "/v1/partners", "POST", new).json["id"]
    return {"a": a, "b": b, "n": mint("--scope", "customers:read"), "s": {**mint("--partner", other), "partner": other}, **{name: mint("--partner", a["partner"]) for name in "pr"}}


def run(house, table):
    who = people(house)
    real = [house.token(who[name]) for name in "absnrp"][-1]
    # The other way round: the library takes the server's token, by the published keys alone.
    seen = jwt.JWT(jwt=real, key=jwk.JWKSet.from_json(house.call([], "/.well-known/jwks.json").seen[1]), algs=["EdDSA"], check_claims={"iss": house.url, "aud": house.url})
    f, front = Forge(house.keys()["active"], json.loads(seen.claims)), jwt.JWT(header=seen.header, claims={**json.loads(seen.claims), "jti": "x"})
    front.make_signed_token(f.key)
    table.check("the server's header and claims are those of SECURITY c.2", json.loads(seen.header) == json.loads(f.head()) and list(f.real) == CLAIMS, (seen.header, f.real))
    now = int(time.time())
    for name, token in {"the server's own": real, "by the library's front door": front.serialize(), "by hand": f.make(), "near 4 KiB": f.make((), {"jti": "x" * 2300}),
                        "exp past within the leeway": f.make((), {"iat": now - 200, "nbf": now - 200, "exp": now - 1}), "blanks in the JSON": f.make(f.head() + " \n", " \n" + f.claims())}.items():
        table.check(f"must be accepted: {name}", house.call(bearer(token, "bearer")).status == 200)
    if table.failed:
        sys.exit("well-formed tokens are refused: the table proves nothing")
    for name, token in (row for rows in (keyed(f, house), spelled(f), claimed(f, house, who)) for some in rows for row in some.items()):
        table.judge(name, house.call(bearer(token)))
    for name, headers, wanted, *place in carried(f, house, who):
        table.judge(name, house.call(headers, *place), wanted)
    token_endpoint(table, house, f, who)
    endings(table, house, f, who)
    log, hidden = house.said(), [real.rsplit(".", 1)[1], "access_token=", *(client["client_secret"] for client in who.values())]
    table.check("no token and no secret in the log", len(log) > 1000 and not any(text in log for text in hidden))


def main(run=run, about=__doc__, least=LEAST):
    """Runs a table on a server of its own; at least so many of its rows must have been tried."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--binary", default="target/debug/todoku")
    house, table = Forgery(parser.parse_args().binary), Table()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = None
    try:
        server = house.serve()
        run(house, table)
    finally:
        house.stop(server)
        house.leave()
    print(f"{len(table.names)} vectors (at least {least} must run) and {table.checks} other checks; {table.failed} failed")
    sys.exit(table.failed > 0 or len(table.names) < least)


if __name__ == "__main__":
    main()
