#!/usr/bin/env python3
"""The forged-token table (SECURITY (a) 14, c.2, d 15-26): every way to bend an access token, one named row each.

What belongs here: a row per forgery and the answer it must get. The issuer is an independent library, PyPI `jwcrypto`, which shares
no code with Todoku; it signs with the server's own key, unsealed from the database, so that a row is refused for the reason in its
name and no other. That a well-formed token so made is accepted is proved first: without that the table proves nothing.

Usage: tests/forged_tokens.py --binary target/debug/todoku     (PostgreSQL's programs: $TODOKU_DATABASE__BIN_DIR)
"""
import argparse, base64, hashlib, hmac, http.client, json, os, re, secrets, shutil, signal, socket, subprocess, sys, tempfile, time, zlib
from collections import namedtuple
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from jwcrypto import jwe, jwk, jws, jwt
from jwcrypto.common import base64url_encode as b64
from jwcrypto.jwa import JWA

LEAST = 80
REFUSED = (401, "unauthenticated", 'Bearer error="invalid_token"')
NONE_CAME = (401, "unauthenticated", "Bearer")
GONE = object()  # a member to leave out
CLAIMS = "iss aud sub client_id iat nbf exp jti scope ven par cep".split()
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519
SMALL = {1: "01" + 31 * "00", 2: "ec" + 30 * "ff" + "7f", 4: 32 * "00", 8: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}


class Answer(namedtuple("Answer", "status headers body")):
    def json(self):
        return json.loads(self.body or b"{}")

    def masked(self):
        """All that a caller may compare: everything but the moment and the request's own id."""
        seen = {k: v for k, v in self.headers.items() if k not in ("date", "x-request-id", "www-authenticate")}
        return re.sub(rb"req_[0-9a-z]{26}", b"req_", self.body), seen


class House:
    """A server of our own with its private cluster, in a folder that is gone in the end."""

    def __init__(self, binary):
        self.binary, self.bin, self.server = str(Path(binary).resolve()), os.environ.get("TODOKU_DATABASE__BIN_DIR", ""), None
        # Short for the socket's path, and open for the user PostgreSQL runs as when we are root.
        self.dir, self.master = Path(tempfile.mkdtemp(prefix="tdk-", dir="/tmp")), os.urandom(32)
        self.dir.chmod(0o755)
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.ops = [probe.getsockname()[1] for probe in probes]
        [probe.close() for probe in probes]
        self.data, self.url = self.dir / "d", f"http://127.0.0.1:{self.port}"
        own = {"SERVER__LISTEN": f"127.0.0.1:{self.port}", "SERVER__OPS_LISTEN": f"127.0.0.1:{self.ops}", "SERVER__PUBLIC_URL": self.url,
               "DATABASE__DATA_DIR": str(self.data), "DATABASE__BIN_DIR": self.bin, "LOG__LEVEL": "info,todoku=debug",
               "SECRETS__MASTER": base64.b64encode(self.master).decode(),
               **{f"LIMITS__{kind}_{what}": "100000" for kind in ("READ", "WRITE", "TOKEN", "ADDRESS") for what in ("PER_SECOND", "BURST")}}
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("TODOKU_")}
        self.env.update({f"TODOKU_{k}": v for k, v in own.items()})

    def start(self):
        with open(self.dir / "log", "wb") as log:
            self.server = subprocess.Popen([self.binary, "serve"], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(900):
            try:
                if self.call([], "/readyz", port=self.ops).status == 200:
                    return
            except OSError:
                time.sleep(0.1)
            if self.server.poll() is not None:
                break
        sys.exit("the server did not start:\n" + (self.dir / "log").read_text()[-3000:])

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(40)
            except subprocess.TimeoutExpired:
                self.server.kill()
        try:  # only a killed server leaves its PostgreSQL behind
            postmaster = int((self.data / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGINT)
            for _ in range(300):
                os.kill(postmaster, 0)
                time.sleep(0.1)
        except (OSError, ValueError, IndexError):
            pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, headers, path="/v1/customers", method="GET", body=b"", port=None):
        line = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            line.putrequest(method, path, skip_accept_encoding=True)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                line.putheader(name, value)
            line.endheaders(body or None)
            got = line.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            line.close()

    def todoku(self, *arguments):
        """Runs a command; the ids and secrets it prints."""
        done = subprocess.run([self.binary, *arguments], env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"todoku {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return dict(re.findall(r"^(?:direct )?(vendor|partner|client_id|client_secret) +(\S+)", done.stdout, re.M))

    def sql(self, text):
        """Runs a statement as the superuser, being the user that owns the cluster."""
        own, owner = os.path.join(self.bin, "psql"), (self.data / "data").stat()
        as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        place = ["-h", str(self.data / "run"), "-p", "5432", "-U", "postgres", "-d", "todoku"]
        command = [own if os.path.exists(own) else "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *place, "-c", text]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, timeout=60, **as_owner).stdout.split()

    def keys(self):
        """The signing keys by state, opened as src/state.rs seals them: AES-256-GCM bound to the kid, the nonce behind."""
        opener, found = AESGCM(hmac.new(self.master, b"todoku signing key 1", hashlib.sha256).digest()), {}
        for line in self.sql("SELECT state || '|' || kid || '|' || encode(sealed_key, 'hex') FROM auth.signing_key"):
            state, kid, sealed = line.split("|")[0], line.split("|")[1], bytes.fromhex(line.split("|")[2])
            found[state] = jwk.JWK.from_pyca(load_der_private_key(opener.decrypt(sealed[-12:], sealed[:-12], kid.encode()), None))
            assert found[state].thumbprint() == kid, "the kid is not the RFC 7638 thumbprint"
        return found

    def grant(self, form, client=None, secret="", more=(), path="/oauth/token"):
        basic = [("Authorization", "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode())] if client else []
        return self.call([("Content-Type", "application/x-www-form-urlencoded"), *basic, *more], path, "POST", urlencode(form).encode())

    def token(self, made):
        """A token for a client just made: another process knows it within a second."""
        for _ in range(50):
            got = self.grant({"grant_type": "client_credentials"}, made["client_id"], made["client_secret"])
            if got.status == 200:
                return got.json()["access_token"]
            time.sleep(0.1)
        sys.exit(f"no token: {got}")


def bearer(token, kind="Bearer"):
    return [("Authorization", f"{kind} {token}")]


def payload(token):
    return json.loads(jws.JWS.from_jose_token(token).objects["payload"])


class Forge:
    """Makes tokens exactly as the server would, but for what is asked to be otherwise."""

    def __init__(self, key, real):
        self.key, self.kid, self.real = key, key.thumbprint(), real

    def head(self, **change):
        return {k: v for k, v in {"typ": "at+jwt", "alg": "EdDSA", "kid": self.kid, **change}.items() if v is not GONE}

    def claims(self, **change):
        now = int(time.time())
        fresh = {**self.real, "iat": now, "nbf": now, "exp": now + 300, "jti": secrets.token_urlsafe(16), **change}
        return {k: v for k, v in fresh.items() if v is not GONE}

    def sign(self, text, key=None, alg="EdDSA"):
        return JWA.signing_alg(alg).sign(key or self.key, text.encode())

    def seal(self, text, key=None, alg="EdDSA"):
        return f"{text}.{b64(self.sign(text, key, alg))}"

    def text(self, head=None, claims=None):
        """What is signed; `head` and `claims` are members to change, or the very bytes."""
        head = head if isinstance(head, (str, bytes)) else json.dumps(self.head(**(head or {})))
        claims = claims if isinstance(claims, (str, bytes)) else json.dumps(self.claims(**(claims or {})))
        return f"{b64(head)}.{b64(claims)}"

    def make(self, head=None, claims=None, key=None, alg="EdDSA"):
        return self.seal(self.text(head, claims), key, alg)


def loose(data):
    """base64url whose unused last bits are not zero: another spelling of the same bytes. JSON may end in a blank."""
    text, letters = b64(data + b" " * (len(data) % 3 == 0)), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def each(member, values, make):
    """A row for each value of a member."""
    for value in values:
        yield f"{member} {'missing' if value is GONE else ascii(value)[:50]}", make({member: value})


def keyed(f, house, who):
    """Signed by another algorithm or key: names and tokens."""
    x, public = base64.urlsafe_b64decode(f.key.export_public(as_dict=True)["x"] + "="), f.key.export_public()
    for alg in ("none", "None", "NONE", "nOnE", ""):
        text = f.text({"alg": alg})
        yield from {f"alg {alg!r}, no signature": text + ".", f"alg {alg!r}, two parts": text, f"alg {alg!r}, right signature": f.seal(text)}.items()
    pem, der = [f.key.get_op_key("verify").public_bytes(kind, PublicFormat.SubjectPublicKeyInfo) for kind in (Encoding.PEM, Encoding.DER)]
    known = {"raw public key": x, "x": b64(x).encode(), "PEM": pem, "PEM stripped": pem.strip(), "DER": der, "JWK": public.encode(), "kid": f.kid.encode(),
             "JWKS": house.call([], "/.well-known/jwks.json").body, "client secret": who["p"]["client_secret"].encode(), "empty secret": b""}
    for alg, (name, secret) in [(alg, item) for alg in ("HS256", "HS384", "HS512") for item in known.items()]:
        text = f.text({"alg": alg})
        yield f"{alg} with the {name}", f"{text}.{b64(hmac.new(secret, text.encode(), 'sha' + alg[2:]).digest())}"
    theirs, rsa = jwk.JWK.generate(kty="OKP", crv="Ed25519"), jwk.JWK.generate(kty="RSA", size=2048)
    keys = {"EdDSA": theirs, "RS256": rsa, "PS256": rsa, "ES256": jwk.JWK.generate(kty="EC", crv="P-256"), "ES384": jwk.JWK.generate(kty="EC", crv="P-384")}
    for alg, key in keys.items():
        yield f"{alg} with another key, our kid", f.make({"alg": alg}, key=key, alg=alg)
        yield f"{alg} with another key, its kid", f.make({"alg": alg, "kid": key.thumbprint()}, key=key, alg=alg)
    yield "Ed448 with another key", f.make(key=jwk.JWK.generate(kty="OKP", crv="Ed448"))
    other = {"jwk": theirs.export_public(as_dict=True)}
    yield "jwk of another key, its kid", f.make({**other, "kid": theirs.thumbprint()}, key=theirs)
    yield "jwk of another key, our kid", f.make(other, key=theirs)
    for n, point in SMALL.items():  # R the neutral point and S zero: such a key "signs" everything
        weak, nought = jwk.JWK(kty="OKP", crv="Ed25519", x=b64(bytes.fromhex(point))), b64(bytes.fromhex(SMALL[1]) + bytes(32))
        yield f"key of order {n} by its kid", f.text({"kid": weak.thumbprint()}) + "." + nought
        yield f"key of order {n} as jwk", f.text({"jwk": weak.export_public(as_dict=True)}) + "." + nought
    yield from each("alg", ("HS256", "RS256", "ES256", "Ed25519", "Ed448", "eddsa", "EDDSA", "EdDSA ", None, 1, ["EdDSA"], GONE), f.make)
    yield from each("kid", ("", theirs.thumbprint(), f.kid + " ", f.kid + "\0", f.kid.swapcase(), f.kid[:-1], None, 1, True, [f.kid], {"kid": f.kid}, GONE, "*", "0",
                            "../../../../dev/null", "/dev/null", "file:///etc/passwd", "' OR 1=1 --", house.url + "/.well-known/jwks.json"), f.make)
    yield from each("typ", (GONE, "", "JWT", "jwt", "AT+JWT", "at+JWT", "at+jwt ", "application/at+jwt", "logout+jwt", "dpop+jwt", None, 1, ["at+jwt"]), f.make)
    for extra in ({"crit": ["x"], "x": 1}, {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"jwk": json.loads(public)},
                  {"jku": house.url + "/.well-known/jwks.json"}, {"x5u": house.url}, {"x5c": [base64.b64encode(der).decode()]}, {"x5t": b64(x)}, {"x5t#S256": b64(x)}, {"zip": "DEF"},
                  {"cty": "JWT"}, {"cty": None}, {"enc": "A256GCM"}, {"url": house.url}, {"nonce": "x"}, {"foo": 1}, {"": 1}, {"iss": house.url}, {"Alg": "EdDSA"}):
        yield f"extra header {json.dumps(extra)[:40]}", f.make(extra)
    head = json.dumps(f.head())
    for name, text in {"kid twice, bad first": '{"kid":"x",' + head[1:], "kid twice, bad last": head[:-1] + ',"kid":"x"}', "typ twice": '{"typ":"JWT",' + head[1:],
                       "alg twice, bad first": '{"alg":"none",' + head[1:], "alg twice, bad last": head[:-1] + ',"alg":"none"}', "alg twice, equal": head[:-1] + ',"alg":"EdDSA"}',
                       "alg twice, once escaped": head[:-1] + ',"\\u0061lg":"EdDSA"}', "array of the members": json.dumps(["EdDSA", f.kid, "at+jwt"]), "array with the object": f"[{head}]",
                       "string": json.dumps(head), "null": "null", "empty": "", "not JSON": "x", "with bytes behind": head + "x", "doubled": head * 2, "with a BOM": "\ufeff" + head,
                       "in UTF-16": head.encode("utf-16"), "with a comment": head[:-1] + "/**/}", "with a comma too many": head[:-1] + ",}", "cut short": head[:-1]}.items():
        yield f"header {name}", f.make(text)


def spelled(f):
    """Spelled, cut or signed in another way: names and tokens."""
    good, head = f.make(), json.dumps(f.head()).encode()
    (h, p, s), sig, x = good.split("."), f.sign(good.rsplit(".", 1)[0]), f.key.export_public(as_dict=True)["x"]
    yield from {"one part": h, "two parts": f"{h}.{p}", "four parts": good + ".AAAA", "five parts": good + ".AAAA.AAAA", "dot behind": good + ".", "dot before": "." + good,
                "no header": f".{p}.{s}", "no payload": f"{h}..{s}", "no signature": f"{h}.{p}.", "only dots": "..", "one dot": ".", "null": "null", "letters": "a.b.c",
                "no header, signed so": f.seal("." + p), "no payload, signed so": f.seal(h + "."), "dots as %2E": good.replace(".", "%2E"), "in quotes": f'"{good}"',
                "in base64url again": b64(good), "longer than 4 KiB": f.make(claims={"jti": "x" * 4096}), "deflated payload": f.seal(f"{h}.{b64(zlib.compress(b'{}')[2:-4])}"),
                "padding in the header": f.seal(f"{h}{'=' * (-len(h) % 4 or 1)}.{p}"), "padding in the payload": f.seal(f"{h}.{p}{'=' * (-len(p) % 4 or 1)}"),
                "padding in the signature": good + "==", "unused bits in the header": f.seal(f"{loose(head)}.{p}"), "unused bits in the signature": f"{h}.{p}.{loose(sig)}",
                "unused bits in the payload": f.seal(f"{h}.{loose(json.dumps(f.claims()).encode())}"), "nested JWT": f.make(claims=good), "nested JSON": f.make(claims=json.dumps(good)),
                "standard alphabet in the payload": f.seal(f.text(claims={"jti": "???>>>"}).replace("-", "+").replace("_", "/")),
                "standard alphabet in the signature": next(t for t in iter(f.make, None) if set("-_") & set(t)).replace("-", "+").replace("_", "/"),
                "header respelled": f"{b64(head.replace(b' ', b''))}.{p}.{s}", "payload of another token": f"{h}.{b64(json.dumps(f.claims()))}.{s}"}.items()
    for gap in (" ", "\t", "%20", "%0A", "\\n"):
        yield f"{gap!r} in the header", f.seal(f"{h[:9]}{gap}{h[9:]}.{p}")
        yield f"{gap!r} in the payload", f.seal(f"{h}.{p[:9]}{gap}{p[9:]}")
        yield f"{gap!r} in the signature", f"{h}.{p}.{s[:9]}{gap}{s[9:]}"
    yield from ((f"{behind[:9]!r} behind", good + behind) for behind in ("A", "AAAA", "%00", ",", ";", "~", ", Bearer " + good, " " + good))
    made = jws.JWS(json.dumps(f.claims()))
    made.add_signature(f.key, protected=json.dumps(f.head()))
    flat = json.loads(made.serialize(compact=False))
    for name, text in {"flattened": json.dumps(flat), "general": json.dumps({"payload": flat.pop("payload"), "signatures": [flat]})}.items():
        yield from {f"{name} JSON serialization": text, f"{name} JSON serialization in base64url": b64(text)}.items()
    yield "JWE to the public key", jwe.JWE(good.encode(), '{"alg":"dir","enc":"A256GCM","cty":"JWT"}', recipient=jwk.JWK(kty="oct", k=x)).serialize(compact=True)
    flipped = {f"byte {i} flipped": sig[:i] + bytes([sig[i] ^ 1]) + sig[i + 1:] for i in (0, 1, 15, 31, 32, 47, 62, 63)}
    malleated = {f"S + {k} L": sig[:32] + (int.from_bytes(sig[32:], "little") + k * ORDER).to_bytes(32, "little") for k in (1, 2, 14)}
    for name, bent in {**flipped, **malleated, **{f"cut to {n} bytes": sig[:n] for n in (1, 32, 63)}, **{f"R of order {n}, S zero": bytes.fromhex(point) + bytes(32) for n, point in SMALL.items()},
                       "zeroed": bytes(64), "all ones": b"\xff" * 64, "random": os.urandom(64), "a byte longer": sig + b"\0", "twice": sig * 2, "swapped": sig[32:] + sig[:32],
                       "in hex": sig.hex(), "in base64 twice": b64(sig), "sign of R flipped": sig[:31] + bytes([sig[31] ^ 128]) + sig[32:], "S zero": sig[:32] + bytes(32),
                       "S = L": sig[:32] + ORDER.to_bytes(32, "little"), "of the header": f.sign(h), "of the payload": f.sign(p), "of another token": f.sign(f.text())}.items():
        yield f"signature {name}", f"{h}.{p}.{b64(bent)}"


def claimed(f, house, who):
    """Bent claims under a right signature: names and tokens."""
    now, text, url, a, b, s, ids = int(time.time()), json.dumps(f.claims()), house.url, who["a"], who["b"], who["s"], lambda prn: {"sub": prn, "client_id": prn}
    for claim in CLAIMS:
        right, number = f.claims()[claim], claim in ("iat", "nbf", "exp", "cep")
        wrong = (GONE, str(right) if number else 1, float(right) if number else [right], 1e300, -1e300, 1.5, None, True, False, [], {}, 2**63, 2**64)
        yield from each(claim, wrong, lambda change: f.make(claims=change))
    for claim in ("iss", "aud"):
        yield from each(claim, ("https://evil.example", "", url + "/", url.upper(), url.replace("http", "https"), url + "0", f"{url} {url}", f.real["sub"],
                                [url, "https://evil.example"], ["https://evil.example", url]), lambda change: f.make(claims=change))
    nobody = f.real["sub"][:-4] + ("0000" if f.real["sub"][-4:] != "0000" else "1111")
    for name, change in {
        "exp past by 6 s": dict(iat=now - 200, nbf=now - 200, exp=now - 6), "exp past by a day": dict(iat=now - 86700, nbf=now - 86700, exp=now - 86400), "exp 0": dict(exp=0),
        "life of 301 s": dict(exp=now + 300, iat=now - 1), "life of an hour": dict(exp=now + 3600), "iat 0": dict(iat=0, nbf=0), "exp at iat": dict(exp=now), "exp before iat": dict(exp=now - 1),
        "nbf in 60 s": dict(nbf=now + 60), "iat in 60 s": dict(iat=now + 60), "all in 60 s": dict(iat=now + 60, nbf=now + 60, exp=now + 360), "exp enormous": dict(exp=2**63 - 1),
        "iat and exp enormous": dict(iat=2**63 - 2, exp=2**63 - 1), "exp negative": dict(exp=-1), "iat the least": dict(iat=-(2**63)), "all negative": dict(iat=-200, nbf=-200, exp=-1),
        "nbf enormous": dict(nbf=2**63 - 1), "cep old": dict(cep=f.real["cep"] - 1), "cep new": dict(cep=f.real["cep"] + 1), "cep negative": dict(cep=-1),
        "ven of another vendor": dict(ven=b["vendor"]), "par of another vendor's": dict(par=b["partner"]), "ven and par of another vendor": dict(ven=b["vendor"], par=b["partner"]),
        "par of another partner": dict(par=s["partner"]), "another partner's client": ids(s["client_id"]), "another vendor's client": ids(b["client_id"]),
        "the vendor's client": ids(a["client_id"]), "the vendor's client, ven of another": {**ids(a["client_id"]), "par": GONE, "ven": b["vendor"]},
        "the vendor's client, par null": {**ids(a["client_id"]), "par": None}, "sub of another client": {"sub": s["client_id"]}, "client_id of another": {"client_id": s["client_id"]},
        "nobody": ids(nobody), "ven of nobody": dict(ven="ven" + nobody[3:]), "par of nobody": dict(par="par" + nobody[3:]), "par empty": dict(par=""), "sub upper case": ids(f.real["sub"].upper()),
        "sub a partner": ids(f.real["par"]), "sub with a blank": ids(f.real["sub"] + " "), "ven a UUID": dict(ven="0188bac7-4afa-78aa-bc3b-bd1eef28d881"),
        "unknown claim": {"admin": True}, "claim act": {"act": {"sub": a["client_id"]}}, "claim cnf": {"cnf": {}}, "claim Exp": {"Exp": now + 300}, "nameless claim": {"": 1},
    }.items():
        yield name, f.make(claims=change)
    exp = lambda to: re.sub(r'"exp": (\d+)', to, text)
    for name, body in {"not JSON": "x", "empty": "", "null": "null", "{}": "{}", "array of values": json.dumps(list(f.claims().values())), "array with the object": f"[{text}]",
                       "array in the order of c.2": json.dumps([f.claims()[k] for k in CLAIMS]), "with bytes behind": text + "x", "not UTF-8": text.encode()[:-3] + b'\xff"}',
                       "with a BOM": "\ufeff" + text, "in UTF-16": text.encode("utf-16"), "exp twice, bad first": '{"exp":1,' + text[1:], "exp twice, bad last": text[:-1] + ',"exp":1}',
                       "exp twice, equal": exp(r'"exp": \1, "exp": \1'), "ven twice": text[:-1] + f',"ven":"{b["vendor"]}"}}', "par twice": text[:-1] + ',"par":null}',
                       "sub twice, once escaped": text[:-1] + f',"s\\u0075b":"{a["client_id"]}"}}', "exp 1e400": exp('"exp": 1e400'), "exp NaN": exp('"exp": NaN'), "exp -0": exp('"exp": -0'),
                       "exp with e0": exp(r'"exp": \1e0'), "exp with 0 before": exp(r'"exp": 0\1'), "deep": "[" * 999 + "]" * 999}.items():
        yield f"payload {name}", f.make(claims=body)
    identity = json.dumps(dict(iss=url, sub=f.real["sub"], aud=f.real["client_id"], iat=now, exp=now + 300, nonce="n", auth_time=now))
    yield from {"ID token": f.make({"typ": "JWT"}, identity), "ID token, typ at+jwt": f.make(claims=identity)}.items()


def carried(f, who):
    """How a token is carried: names, headers, the answer, the path."""
    good, basic = f.make(), base64.b64encode(f"{who['p']['client_id']}:{who['p']['client_secret']}".encode()).decode()
    for value in ("Bearer", good, "Bearer" + good, f"Basic {good}", f"Basic {basic}", f"DPoP {good}", f"Bearer Bearer {good}", f"Bearer={good}", f"Bearer token={good}", "", f"Bearer {good}é"):
        yield f"Authorization {value[:14]!r}...{value[-3:]!r}", [("Authorization", value.encode())], REFUSED, ""
    yield "no Authorization", [], NONE_CAME, ""
    yield "in other headers", [("X-Authorization", f"Bearer {good}"), ("Cookie", f"access_token={good}")], NONE_CAME, ""
    yield "in the query", [], NONE_CAME, f"?access_token={good}"
    for name, pair in {"equal": (good, good), "good first": (good, "x"), "good last": ("x", good)}.items():
        yield f"two Authorization headers, {name}", bearer(pair[0]) + bearer(pair[1]), (400, "malformed-request", None), ""
    for gap in ("\r\n ", "\n ", "\0"):  # these the HTTP layer refuses, without a body (SECURITY c.11)
        yield f"{gap!r} inside", bearer(good[:50] + gap + good[50:]), (400, None, None), ""


class Table:
    """Counts, compares and tells."""

    def __init__(self):
        self.names, self.failed, self.seen, self.checks = set(), 0, None, 0

    def check(self, name, holds, what=""):
        self.checks += 1
        self.failed += not holds
        if not holds:
            print(f"FAIL  {name[:70]:70}  {what}")

    def accepted(self, name, answer):
        self.check(f"control: {name}", answer.status == 200, f"must be 200, else the rows prove nothing: {answer}")

    def judge(self, name, answer, wanted=REFUSED):
        assert name not in self.names, name
        self.names.add(name)
        got = answer.status, answer.json().get("code"), answer.headers.get("www-authenticate")
        self.seen = self.seen or answer.masked()
        same = got[0] != 401 or answer.masked() == self.seen
        if got != wanted or not same:
            self.check(name, False, f"must be {wanted}, was {got}" if same else f"is told apart: {answer.masked()} from {self.seen}")


def refused_within(house, headers, seconds=2.0):
    """The first refusal, or the last answer within that time."""
    until, begun = time.monotonic() + seconds, 0
    while begun < until:
        begun, answer = time.monotonic(), house.call(headers)
        if answer.status == 401:
            break
        time.sleep(0.02)
    return answer


def scopes(table, house, f, who):
    """A scope beyond the grant: the token is taken, the operation refuses."""
    narrow, every = Forge(f.key, payload(house.token(who["n"]))), f"{f.real['scope']} partners:manage clients:manage scorecards:manage"
    table.accepted("the narrow client reads customers", house.call(bearer(narrow.make(claims={"scope": every}))))
    for path, method, scope in (("measures", "GET", every), ("partners", "POST", every), ("insights/channels", "GET", "insights:read"), ("customers", "POST", every), ("customers", "GET", ""),
                                ("customers", "GET", "Customers:Read"), ("customers", "GET", "*"), ("customers", "GET", "customers:read,health:read")):
        answer = house.call(bearer(narrow.make(claims={"scope": scope})), f"/v1/{path}", method)
        table.judge(f"scope {scope[:30]!r}, {method} {path}", answer, (403, "insufficient-scope", None))


def endings(table, house, f, who):
    """What was good and is no more: a revoked client, a retired key, a deleted key; each within two seconds."""
    real = house.token(who["r"])
    claims = payload(real)
    table.accepted("the client before it is revoked", house.call(bearer(real)))
    house.todoku("client", "revoke", "--vendor", claims["ven"], "--partner", claims["par"], "--client", claims["sub"])
    table.judge("revoked client", refused_within(house, bearer(real)))
    for step in (0, 1, 2):
        table.judge(f"revoked client, forged with cep + {step}", house.call(bearer(Forge(f.key, claims).make(claims={"cep": claims["cep"] + step}))))
    [house.todoku("keys", "rotate") for _ in range(2)]
    time.sleep(2)
    keys = house.keys()
    table.check("the passive key is the one of the table", keys["passive"].thumbprint() == f.kid)
    for state, statement in {"passive": "UPDATE auth.signing_key SET passive_from = passive_from - interval '16 minutes' WHERE state = 'passive'",
                             "next": "DELETE FROM auth.signing_key WHERE state = 'next'"}.items():
        old = Forge(keys[state], f.real)
        table.accepted(f"the {state} key while it is published", house.call(bearer(old.make())))
        house.sql(statement)
        table.judge(f"the {state} key when it is gone", refused_within(house, bearer(old.make())))
    table.accepted("the active key in the end", house.call(bearer(Forge(keys["active"], f.real).make())))


def token_endpoint(table, house, f, who):
    """SECURITY d 23-26, in the words of RFC 6749."""
    p, b, form = who["p"], who["b"], {"grant_type": "client_credentials"}
    mine, theirs = (p["client_id"], p["client_secret"]), {"client_id": b["client_id"], "client_secret": b["client_secret"]}
    assertion = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": f.make(), "client_id": p["client_id"]}
    wrong = house.grant(form, p["client_id"], b["client_secret"])
    for name, got in {"wrong secret": wrong, "unknown client": house.grant(form, "prn" + b["vendor"][3:], p["client_secret"]), "bad check digits": house.grant(form, mine[0], mine[1][:-6] + "000000"),
                      "no credentials": house.grant(form), "credentials in the body": house.grant({**form, **theirs}), "credentials in the query": house.grant(form, path="/oauth/token?" + urlencode(theirs)),
                      "access token as bearer": house.grant(form, more=bearer(f.make())), "access token as assertion": house.grant({**form, **assertion})}.items():
        told = got.status, got.json().get("error"), got.headers.get("www-authenticate", "")[:5], got.masked() == wrong.masked()
        table.check(f"token endpoint: {name}", told == (401, "invalid_client", "Basic", True), got)
    twice = [[*form.items(), *form.items()], [*form.items(), ("scope", "customers:read"), ("scope", "customers:read")], [*form.items(), ("grant_type", "password")]]
    for error, sent in [*(("unsupported_grant_type", {"grant_type": grant}) for grant in ("password", "authorization_code", "refresh_token", "")),
                        *(("invalid_scope", {**form, "scope": scope}) for scope in ("partners:manage", "customers:read partners:manage", "x", "")), *(("invalid_request", sent) for sent in [{}, *twice])]:
        got = house.grant(sent, *mine)
        table.check(f"token endpoint: {sent}", (got.status, got.json().get("error"), got.headers.get("cache-control")) == (400, error, "no-store"), got)
    got = house.grant({**form, **theirs}, *mine)
    table.check("token endpoint: another's credentials in the body are ignored", got.status == 200 and payload(got.json()["access_token"])["sub"] == p["client_id"], got)


def people(house):
    """Two vendors; clients of the first: its own, a narrow one, two of its direct partner, one of another partner."""
    a, b = [house.todoku("vendor", "create", "--name", name) for name in ("株式会社カンリ", "Other Vendor")]
    mint = lambda *more: house.todoku("client", "mint", "--vendor", a["vendor"], "--name", "portal", *more)
    new = json.dumps({"external_id": "P-1", "name": "株式会社ひかり販売", "kind": "reseller"}).encode()
    other = house.call([("Content-Type", "application/json"), *bearer(house.token(a))], "/v1/partners", "POST", new).json()["id"]
    who = {"a": a, "b": b, "n": mint("--scope", "customers:read"), "s": {**mint("--partner", other), "partner": other}, **{name: mint("--partner", a["partner"]) for name in "pr"}}
    [house.token(client) for client in who.values()]
    return who


def run(house, table):
    house.start()
    who, now = people(house), int(time.time())
    real = house.token(who["p"])
    # The other way round: the library takes the server's token, by the published keys alone.
    seen = jwt.JWT(jwt=real, key=jwk.JWKSet.from_json(house.call([], "/.well-known/jwks.json").body), algs=["EdDSA"], check_claims={"iss": house.url, "aud": house.url})
    f, front = Forge(house.keys()["active"], json.loads(seen.claims)), jwt.JWT(header=seen.header, claims={**json.loads(seen.claims), "jti": "x"})
    front.make_signed_token(f.key)
    table.check("the server's header and claims are those of SECURITY c.2", json.loads(seen.header) == f.head() and list(f.real) == CLAIMS, (seen.header, f.real))
    early = {"iat": now - 200, "nbf": now - 200, "exp": now - 1}
    for name, token in {"the server's own": real, "by the library's front door": front.serialize(), "by hand": f.make(), "exp past within the leeway": f.make(claims=early),
                        "near 4 KiB": f.make(claims={"jti": "x" * 2300}), "blanks in the JSON": f.make(json.dumps(f.head(), indent=1), json.dumps(f.claims(), indent=1))}.items():
        table.accepted(name, house.call(bearer(token, "bearer")))
    if table.failed:
        sys.exit("well-formed tokens are refused: the table proves nothing")
    for rows in (keyed(f, house, who), spelled(f), claimed(f, house, who)):
        for name, token in rows:
            table.judge(name, house.call(bearer(token)))
    for name, headers, wanted, query in carried(f, who):
        table.judge(name, house.call(headers, "/v1/customers" + query), wanted)
    scopes(table, house, f, who)
    token_endpoint(table, house, f, who)
    table.accepted("by hand, after all that", house.call(bearer(f.make())))
    endings(table, house, f, who)
    log, hidden = (house.dir / "log").read_text(errors="replace"), [real.rsplit(".", 1)[1], "access_token=", *(client["client_secret"] for client in who.values())]
    table.check("no token and no secret in the log", len(log) > 1000 and not any(text in log for text in hidden))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="target/debug/todoku")
    house, table = House(parser.parse_args().binary), Table()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(house, table)
    finally:
        house.stop()
    enough = len(table.names) >= LEAST
    print(f"{len(table.names)} vectors and {table.checks} other checks; {table.failed} failed{'' if enough else f'; at least {LEAST} vectors must run'}")
    sys.exit(table.failed > 0 or not enough)


if __name__ == "__main__":
    main()
