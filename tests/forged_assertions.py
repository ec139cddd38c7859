#!/usr/bin/env python3
"""The forged-assertion table (SECURITY c.2, d 23-25): every way to bend a `private_key_jwt`, one named row each.

What belongs here: a row per forgery, and the two ways an assertion is right. The client's side is an independent library, PyPI `jwcrypto`. That well-formed
assertions so made are taken, of both kinds of key, is proved first. Usage: tests/forged_assertions.py --binary target/debug/todoku
"""
import concurrent.futures, hashlib, hmac, json, secrets, sys, time

from jwcrypto import jwk
from jwcrypto.common import base64url_encode as b64
from jwcrypto.jwa import JWA

from forged_tokens import GONE, bearer, each, main, payload, under, within

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Client:
    """A client with a key of its own, that says of itself what it is asked to."""

    def __init__(self, house, staff, path, kind):
        self.house, self.staff = house, staff
        made = self.post(path, {"name": kind})
        self.id, self.secret, self.path = made["id"], made["client_secret"], f"{path}/{made['id']}/credentials"
        self.alg = {"OKP": "EdDSA", "EC": "ES256"}[kind]
        self.key = jwk.JWK.generate(kty=kind, crv={"OKP": "Ed25519", "EC": "P-256"}[kind])
        self.registered = self.post(self.path, {"jwk": self.key.export_public(as_dict=True)})
        assert self.registered["kid"] == self.key.thumbprint(), "the kid is not the RFC 7638 thumbprint"

    def post(self, path, body):
        got = self.house.call([("Content-Type", "application/json"), *bearer(self.staff)], path, "POST", json.dumps(body).encode())
        return got.json if got.status == 201 else sys.exit(f"{path}: {got}")

    def head(self, change=()):
        return json.dumps({k: v for k, v in {"alg": self.alg, **dict(change)}.items() if v is not GONE})

    def claims(self, change=()):
        own = {"iss": self.id, "sub": self.id, "aud": self.house.url, "exp": int(time.time()) + 60, "jti": secrets.token_urlsafe(16)}
        return json.dumps({k: v for k, v in {**own, **dict(change)}.items() if v is not GONE})

    def make(self, head=(), claims=(), key=None, alg=None):
        text = ".".join(b64(part if isinstance(part, (str, bytes)) else make(part)) for part, make in ((head, self.head), (claims, self.claims)))
        return f"{text}.{b64(JWA.signing_alg(alg or self.alg).sign(key or self.key, text.encode()))}"

    def ask(self, assertion, more=(), secret=None, **form):
        form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": assertion, **form}
        return self.house.grant({k: v for k, v in form.items() if v is not GONE}, self.id if secret else None, secret or "", more)


def bent(c, other, access):
    """Assertions that prove nothing, by name."""
    now, make, url, text = int(time.time()), c.make, c.house.url, c.claims()
    says, public = lambda change: make((), change), c.key.export_public()
    theirs = [jwk.JWK.generate(**kind) for kind in (dict(kty="OKP", crv="Ed25519"), dict(kty="EC", crv="P-256"), dict(kty="RSA", size=2048))]
    for key, alg in zip(theirs, ("EdDSA", "ES256", "RS256")):
        yield {f"{alg} with another key": make({"alg": alg}, key=key, alg=alg), f"{alg} with another key as jwk": make({"alg": alg, "jwk": key.export_public(as_dict=True)}, key=key, alg=alg)}
    yield {f"{alg} with the key as secret": (lambda t: f"{t}.{b64(hmac.new(public.encode(), t.encode(), hashlib.sha256).digest())}")(f"{b64(c.head({'alg': alg}))}.{b64(text)}") for alg in ("HS256",)}
    yield {f"alg {alg!r} unsigned": f"{b64(c.head({'alg': alg}))}.{b64(c.claims())}." for alg in ("none", "None", "")}
    yield {f"alg {alg!r}": make({"alg": alg}) for alg in ("none", "RS256", "HS256", "ES384", "eddsa", "Ed25519", None, 1, GONE) if alg != c.alg}
    yield {f"typ {typ!r}": make({"typ": typ}) for typ in ("at+jwt", "", "logout+jwt", 1, ["JWT"])}
    yield under("header", {json.dumps(extra)[:30]: extra for extra in ({"crit": ["exp"]}, {"b64": False}, {"jku": url}, {"x5u": url}, {"zip": "DEF"}, {"foo": 1})}, make)
    for claim in ("iss", "sub", "aud", "exp", "jti"):
        yield each(claim, says, GONE, None, 1.5, [], {}, True, "")
    yield each("aud", says, f"{url}/oauth/token", f"{url}/", [url], [url, "https://evil.example"], url.upper(), "https://evil.example")
    yield each("iss", says, other.id, c.id.upper(), url)
    yield {"another's sub": says({"sub": other.id}), "another's iss and sub": says({"iss": other.id, "sub": other.id}), "a UUID": says({"iss": "0188bac7-4afa-78aa-bc3b-bd1eef28d881", "sub": "0188bac7-4afa-78aa-bc3b-bd1eef28d881"})}
    nobody = c.id[:-4] + ("0000" if c.id[-4:] != "0000" else "1111")
    yield {"nobody": says({"iss": nobody, "sub": nobody})}
    yield under("time:", {"exp past by 6 s": dict(exp=now - 6), "exp in 2 min": dict(exp=now + 120), "exp enormous": dict(exp=2**63 - 1), "exp beyond": dict(exp=2**64), "exp 1e300": dict(exp=1e300),
                          "exp a text": dict(exp=str(now + 30)), "exp negative": dict(exp=-1), "nbf in 60 s": dict(nbf=now + 60), "iat in 60 s": dict(iat=now + 60), "a life of 61 s": dict(iat=now, exp=now + 61),
                          "iat of an hour ago": dict(iat=now - 3600), "iat the least": dict(iat=-(2**63)), "iat a text": dict(iat=str(now)), "jti of 256": dict(jti="x" * 256)}, says)
    yield under("payload", {"not JSON": "x", "empty": "", "null": "null", "an array": f"[{text}]", "with bytes behind": text + "x", "exp twice": text[:-1] + ',"exp":1}', "jti twice": text[:-1] + ',"jti":"x"}',
                            "not UTF-8": text.encode()[:-2] + b'\xff"}'}, lambda bytes_: make((), bytes_))
    good = make()
    h, p, s = good.split(".")
    yield {"two parts": f"{h}.{p}", "four parts": good + ".AAAA", "no signature": f"{h}.{p}.", "another's signature": f"{h}.{p}.{make().split('.')[2]}", "padded": good + "=", "empty": "", "letters": "a.b.c",
           "blank inside": good[:40] + " " + good[40:], "an access token": access, "longer than 4 KiB": says({"jti": "x", "pad": "x" * 4096})}


def run(house, table):
    founder = house.todoku("vendor", "create", "--name", "株式会社カンリ")
    staff = house.token(founder)
    partner = f"/v1/partners/{founder['partner']}/clients"
    eddsa, es256 = [Client(house, staff, partner, kind) for kind in ("OKP", "EC")]
    wrong = within(10, lambda: (lambda got: got if got.status == 401 else None)(house.grant({"grant_type": "client_credentials"}, eddsa.id, es256.secret)))
    for client, other in ((eddsa, es256), (es256, eddsa)):
        got = within(10, lambda: (lambda got: got if got.status == 200 else None)(client.ask(client.make()))) or sys.exit("a right assertion is refused: the table proves nothing")
        access = got.json["access_token"]
        table.check("the token is the client's", payload(access)["sub"] == client.id and house.call(bearer(access)).status == 200)
        for name, assertion in {"with typ JWT": client.make({"typ": "JWT"}), "with typ client-authentication+jwt": client.make({"typ": "client-authentication+jwt"}), "with a kid": client.make({"kid": "my key"}),
                                "with iat and nbf": client.make((), {"iat": int(time.time()), "nbf": int(time.time())}), "with more claims": client.make((), {"foo": 1})}.items():
            table.check(f"must be taken: {client.alg} {name}", client.ask(assertion).status == 200)
        table.check("client_id beside it", client.ask(client.make(), client_id=client.id).status == 200)
        for name, assertion in (row for rows in bent(client, other, access) for row in rows.items()):
            got = client.ask(assertion)
            name = f"{client.alg} {name}"
            assert name not in table.names, name
            table.names.add(name)
            told = got.status, got.json.get("error"), got.seen == wrong.seen
            told == (401, "invalid_client", True) or table.check(name, False, got)
        # Once means once, also of many at the same moment.
        again = client.make()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            codes = sorted(got.status for got in pool.map(lambda _: client.ask(again), range(16)))
        table.check("one of sixteen equal ones is taken", codes == [200] + [401] * 15, codes)
        table.check("another client may use the same jti", other.ask(other.make((), {"jti": payload(again)["jti"]})).status == 200)
        for name, got in {"with a secret beside it": client.ask(client.make(), secret=client.secret), "without its type": client.ask(client.make(), client_assertion_type=GONE),
                          "of another type": client.ask(client.make(), client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer")}.items():
            table.check(name, (got.status, got.json.get("error")) == (400, "invalid_request"), got)
        table.check("in the query", house.call([("Content-Type", "application/x-www-form-urlencoded")], f"/oauth/token?client_assertion_type={TYPE}&client_assertion={client.make()}", "POST",
                                               b"grant_type=client_credentials").status == 401)
    told = house.call([], "/.well-known/oauth-authorization-server").json
    table.check("the metadata tell it", told["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "client_secret_basic"] and told["token_endpoint_auth_signing_alg_values_supported"] == ["EdDSA", "ES256"])
    # A revoked key opens nothing, and what it opened is shut.
    access = eddsa.ask(eddsa.make()).json["access_token"]
    gone = house.call(bearer(staff), f"{eddsa.path}/{eddsa.registered['id']}", "DELETE")
    table.check("a key is revoked", gone.status == 204, gone)
    table.check("a revoked key opens nothing", eddsa.ask(eddsa.make()).seen == wrong.seen)
    table.check("its tokens are void", within(2, lambda: house.call(bearer(access)).status == 401))
    table.check("the secret still opens", eddsa.house.grant({"grant_type": "client_credentials"}, eddsa.id, eddsa.secret).status == 200)
    table.check("no assertion in the log", access.rsplit(".", 1)[1] not in house.said() and "client_assertion" not in house.said())


if __name__ == "__main__":
    main(run, __doc__, 100)
