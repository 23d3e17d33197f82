"""What PyPI's PyJWT thinks of our tokens, and hostile ones of its making.

Reads `{"secret", "access", "refresh"}` from standard input and prints one JSON object:

- `accepted`: header and claims of our own tokens, as PyJWT verified them
- `refused`: the name of the failure when it verifies them with another secret
- `cases`: `{"name", "token", "expected", "pyjwt"}`; `expected` is the edge's answer, a code or `ok`, `pyjwt` what
  PyJWT itself makes of the token: `ok` or the name of its failure
"""

import base64
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_decode, base64url_encode

GIVEN = json.load(sys.stdin)
SECRET = GIVEN["secret"].encode()
ISSUER = "co-mind-edge"
NOW = int(time.time())
ABSENT = object()
DOT = b"."

HEADER = jwt.get_unverified_header(GIVEN["access"])
CLAIMS = jwt.decode(GIVEN["access"], options={"verify_signature": False})
LONGEST = 4096


def verify(token, secret=SECRET):
    """As strict as PyJWT can be."""
    return jwt.decode_complete(
        token,
        secret,
        algorithms=["HS256"],
        issuer=ISSUER,
        options={"require": ["iss", "sub", "iat", "exp", "jti"]},
    )


def verdict(token, secret=SECRET):
    try:
        verify(token, secret)
    except Exception as failure:  # Whatever it throws at nonsense, it has not let it pass.
        return type(failure).__name__
    return "ok"


def edited(original, changes):
    return {name: value for name, value in {**original, **changes}.items() if value is not ABSENT}


def raw(part):
    """A part's bytes: of JSON for an object, as they are for text and bytes."""
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else json.dumps(part, separators=(",", ":")).encode()


def hmac(message, secret=SECRET, digest=HMACAlgorithm.SHA256):
    return HMACAlgorithm(digest).sign(message, secret)


def make(header=HEADER, payload=CLAIMS, secret=SECRET, digest=HMACAlgorithm.SHA256, signature=None):
    """A token with parts of any shape. PyJWT's `encode` would refuse to make most of these."""
    signed = base64url_encode(raw(header)) + DOT + base64url_encode(raw(payload))
    if signature is None:
        signature = hmac(signed, secret, digest)
    return (signed + DOT + base64url_encode(signature)).decode()


def head(**changes):
    return make(edited(HEADER, changes))


def claim(**changes):
    return make(payload=edited(CLAIMS, changes))


def text(value):
    return json.dumps(value, separators=(",", ":"))


def replaced(original, old, new):
    """JSON text with one thing in it changed, for what no serialiser writes."""
    written = text(original)
    assert written.count(old) == 1, old
    return written.replace(old, new)


def algorithms():
    header, payload, signature = GIVEN["access"].split(".")
    kid = {"kid": HEADER["kid"]}
    yield "alg none", jwt.encode(CLAIMS, None, "none", headers=kid)
    yield "alg none without kid", jwt.encode(CLAIMS, None, "none")
    for alg in ["none", "None", "NONE", "nOnE", "none ", "\0none"]:
        unsigned = make(edited(HEADER, {"alg": alg}), signature=b"")
        yield f"alg {alg!r}, no signature", unsigned
        yield f"alg {alg!r}, no third part", unsigned.rstrip(".")
        yield f"alg {alg!r}, the old signature", unsigned + signature
        yield f"alg {alg!r}, signed all the same", head(alg=alg)
    for alg in ["", None, 256, True, ["HS256"], {"HS256": 1}, "hs256", "Hs256", "HS256 ", "HS256\0", "HS-256"]:
        yield f"alg {alg!r}, signed as HS256", head(alg=alg)
    yield "alg in full-width letters", head(alg="\uff28\uff33\uff12\uff15\uff16")
    yield "alg with a Cyrillic letter", head(alg="\u041dS256")
    yield "no alg", head(alg=ABSENT)
    yield "HS384 with the right secret", jwt.encode(CLAIMS, SECRET, "HS384", headers=kid)
    yield "HS512 with the right secret", jwt.encode(CLAIMS, SECRET, "HS512", headers=kid)
    yield "says HS384, is HS256", head(alg="HS384")
    yield "says HS512, is HS256", head(alg="HS512")
    yield "says HS256, is HS384", make(digest=HMACAlgorithm.SHA384)
    yield "says HS256, is HS512", make(digest=HMACAlgorithm.SHA512)
    for alg in ["RS256", "PS256", "ES256", "EdDSA", "A256KW", "dir"]:
        yield f"says {alg}, is HS256", head(alg=alg)

    key = rsa.generate_private_key(65537, 2048)
    for alg, private in [
        ("RS256", key),
        ("PS256", key),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ]:
        yield f"{alg} with a key of its own", jwt.encode(CLAIMS, private, alg, headers=kid)
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "HS256 with a public key in PEM for a secret", make(secret=pem)
    yield "HS256 with a public key in DER for a secret", make(secret=der)
    yield "HS256 with a public key in PEM, no kid", make(edited(HEADER, {"kid": ABSENT}), secret=pem)
    own = {"kty": "oct", "k": base64url_encode(b"k" * 32).decode()}
    yield "brings its key along as jwk", make(edited(HEADER, {"jwk": own}), secret=b"k" * 32)
    yield "brings its key along as x5c", make(edited(HEADER, {"x5c": [base64.b64encode(der).decode()]}), secret=der)
    for name in ["jku", "x5u"]:
        yield f"points at its key with {name}", make(edited(HEADER, {name: "http://127.0.0.1:9/k"}), secret=b"k" * 32)

    for name, secret in {
        "no secret": b"",
        "another secret": b"another-secret-another-secret-another",
        "the secret and a line end": SECRET + b"\n",
        "the secret less its last byte": SECRET[:-1],
        "the secret in capitals": SECRET.upper(),
        "the secret in base64": base64.b64encode(SECRET),
        "the secret in quotes": b'"' + SECRET + b'"',
        "the kid for a secret": HEADER["kid"].encode(),
        "32 zeros": bytes(32),
    }.items():
        yield f"signed with {name}", make(secret=secret)
        yield f"signed with {name}, no kid", make(edited(HEADER, {"kid": ABSENT}), secret=secret)
    good = base64url_decode(signature)
    for name, wrong in {
        "empty": b"",
        "of zeros": bytes(32),
        "cut to 16 bytes": good[:16],
        "cut by a byte": good[:-1],
        "a byte too long": good + b"\0",
        "twice": good + good,
        "backwards": good[::-1],
        "in hexadecimal": good.hex().encode(),
    }.items():
        yield f"signature {name}", ".".join([header, payload, base64url_encode(wrong).decode()])
    yield "signature over the payload alone", make(signature=hmac(payload.encode()))
    yield "signature over the parts decoded", make(signature=hmac(raw(HEADER) + DOT + raw(CLAIMS)))


def key_ids():
    yield "kid missing, the right secret", head(kid=ABSENT), "ok"
    for kid in [
        "",
        "other",
        HEADER["kid"].swapcase(),
        HEADER["kid"] + " ",
        HEADER["kid"] + "\0",
        HEADER["kid"] + "\0other",
        "\0",
        "../" + HEADER["kid"],
        "../../../dev/null",
        "file:///dev/null",
        "https://127.0.0.1/key",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "$(id)",
        "__proto__",
        "constructor",
        "*",
        "k" * 2000,
        0,
        True,
        [HEADER["kid"]],
        {"kid": HEADER["kid"]},
    ]:
        yield f"kid {str(kid)[:30]!r}", head(kid=kid)
    yield "kid of a file that is empty, the secret empty", make(edited(HEADER, {"kid": "/dev/null"}), secret=b"")
    yield "kid null", head(kid=None)
    yield "typ null", head(typ=None)


def edited_claims():
    header, _, signature = GIVEN["access"].split(".")
    for changes in [
        {"exp": NOW + 86_400},
        {"sub": "user_" + "A" * 22},
        {"sid": "another"},
        {"ver": 99},
        {"use": "refresh"},
        {"iss": "somebody"},
        {"admin": True},
    ]:
        payload = base64url_encode(raw(edited(CLAIMS, changes))).decode()
        yield f"{text(changes)} under the old signature", ".".join([header, payload, signature])


def times():
    for exp in [str(NOW + 600), NOW + 600.5, -1, -NOW, 2**64, 1e300, None, True, [NOW + 600], {"exp": NOW + 600}, ""]:
        yield f"exp {exp!r}", claim(exp=exp)
    yield "exp missing", claim(exp=ABSENT)
    for number in ["1e10", "-0", "00009999999999", "+9999999999", "0x2540be400", "9999999999.0", "NaN", "Infinity"]:
        yield f"exp written {number}", make(payload=replaced(CLAIMS, f'"exp":{CLAIMS["exp"]}', f'"exp":{number}'))
    for exp in [0, 1, NOW - 86_400, NOW - 1]:
        yield f"exp {'now' if exp > NOW - 9 else exp}", claim(exp=exp), "token_expired"
    for exp in [NOW + 600, 2**53, 2**63, 2**64 - 1]:
        yield f"exp {'soon' if exp < 2**40 else exp}", claim(exp=exp), "ok"
    yield "expired and forged", make(payload=edited(CLAIMS, {"exp": 1}), secret=b"x" * 32)
    yield "expired and of another issuer", claim(exp=1, iss="somebody")
    yield "expired and for refreshing", claim(exp=1, use="refresh")

    for iat in [str(NOW), NOW + 0.5, -1, None, True, [], 2**64]:
        yield f"iat {iat!r}", claim(iat=iat)
    yield "iat missing", claim(iat=ABSENT)
    yield "iat in 1970", claim(iat=0), "ok"
    # The clocks of two machines differ; it ends at `exp` like every other.
    yield "iat tomorrow", claim(iat=NOW + 86_400), "ok", "ImmatureSignatureError"
    for nbf in [NOW - 86_400, NOW + 86_400, "soon"]:
        yield f"nbf {nbf}", claim(nbf=nbf)


def names():
    for iss in ["", "somebody", ISSUER.upper(), ISSUER + " ", ISSUER + "\0", [ISSUER], {"iss": ISSUER}, None, 1, True]:
        yield f"iss {iss!r}", claim(iss=iss)
    yield "iss missing", claim(iss=ABSENT)
    yield "iss with a look-alike letter", claim(iss="co-mind-\u0435dge")
    for use in ["refresh", "Access", "access ", "admin", "", None, 0, ["access"], {"access": None}]:
        yield f"use {use!r}", claim(use=use)
    yield "use missing", claim(use=ABSENT)
    yield "the refresh token", GIVEN["refresh"]
    for sub in [None, 1, True, [CLAIMS["sub"]], {"id": CLAIMS["sub"]}]:
        yield f"sub {sub!r}", claim(sub=sub)
    yield "sub missing", claim(sub=ABSENT)
    for sub in [
        "user_" + "A" * 22,
        CLAIMS["sub"] + "\0",
        CLAIMS["sub"] + " ",
        CLAIMS["sub"].upper(),
        CLAIMS["sub"].removeprefix("user_"),
        CLAIMS["sub"] + "/" + CLAIMS["sub"],
        "",
        "user_",
        "admin",
        "nobody-00",
        "00",
        "../" + CLAIMS["sub"],
        "x' OR '1'='1",
        "__proto__",
        "toString",
        "\ud83d\ude00",
        "s" * 2000,
    ]:
        yield f"sub {str(sub)[:30]!r}", claim(sub=sub)
    for sid in [None, 1, [CLAIMS["sid"]]]:
        yield f"sid {sid!r}", claim(sid=sid)
    yield "sid missing", claim(sid=ABSENT)
    for sid in ["", "unknown", "%", "' OR '1'='1", CLAIMS["sid"].swapcase(), CLAIMS["sid"] + "\0", "s" * 2000]:
        yield f"sid {sid[:30]!r}", claim(sid=sid), "token_revoked"
    for ver in [str(CLAIMS["ver"]), CLAIMS["ver"] + 0.0, -1, 2**32, None, True, [CLAIMS["ver"]]]:
        yield f"ver {ver!r}", claim(ver=ver)
    yield "ver missing", claim(ver=ABSENT)
    for gen in ["0", -1, 0.0, 2**32, True, [0]]:
        yield f"gen {gen!r}", claim(gen=gen)
    for jti in [None, 1, []]:
        yield f"jti {jti!r}", claim(jti=jti)
    yield "jti missing", claim(jti=ABSENT)
    for aud in ["somebody", ISSUER, [ISSUER], "", []]:
        yield f"aud {aud!r}", claim(aud=aud)
    # Other members that we do not have are not looked at.
    yield "claims to be an admin", claim(admin=True, privileges=["admin"], scopes=["*"]), "ok"


def members():
    for name, header in {
        "alg twice": replaced(HEADER, '"alg":"HS256"', '"alg":"HS256","alg":"HS256"'),
        "alg none, then HS256": replaced(HEADER, '"alg":"HS256"', '"alg":"none","alg":"HS256"'),
        "alg HS256, then none": replaced(HEADER, '"alg":"HS256"', '"alg":"HS256","alg":"none"'),
        "alg twice, once escaped": replaced(HEADER, '"alg":"HS256"', '"alg":"HS256","\\u0061lg":"none"'),
        "kid twice": replaced(HEADER, '"kid":', '"kid":"other","kid":'),
        "typ twice": replaced(HEADER, '"typ":"JWT"', '"typ":"JWT","typ":"JWT"'),
    }.items():
        yield name, make(header)
    for name, payload in {
        "sub twice": replaced(CLAIMS, '"sub":', '"sub":"user_a","sub":'),
        "sub twice, the right one first": replaced(CLAIMS, '"iat":', '"sub":"user_a","iat":'),
        "sub twice, once escaped": replaced(CLAIMS, '"iat":', '"s\\u0075b":"user_a","iat":'),
        "exp twice": replaced(CLAIMS, '"exp":', '"exp":1,"exp":'),
        "use twice": replaced(CLAIMS, '"use":', '"use":"refresh","use":'),
        "an unknown member twice": replaced(CLAIMS, '"use":', '"x":1,"x":1,"use":'),
    }.items():
        yield name, make(payload=payload)
    for crit in [["exp"], ["b64"], ["alg"], [], "exp", 1, {}, False, None]:
        yield f"crit {crit!r}", head(crit=crit, exp=NOW + 600)
    yield "b64 false and crit, the payload as it is", unencoded()
    yield "b64 false and crit, the payload encoded", head(b64=False, crit=["b64"])
    yield "b64 false, the payload encoded", head(b64=False)
    for name, value in {"zip": "DEF", "cty": "JWT", "enc": "A256GCM", "jku": "http://127.0.0.1:9/k", "x": 1}.items():
        yield f"the right secret, and {name}", head(**{name: value})
    for typ in ["at+jwt", "application/jwt", "JWS", "JWE", "JOSE", "", "JWT ", "J\u0057T\0", 1, ["JWT"]]:
        yield f"typ {typ!r}", head(typ=typ)
    for typ in ["jwt", "Jwt", ABSENT]:
        yield f"typ {'missing' if typ is ABSENT else typ}", head(typ=typ), "ok"


def unencoded():
    header = base64url_encode(raw(edited(HEADER, {"b64": False, "crit": ["b64"]})))
    signed = header + DOT + raw(CLAIMS).replace(DOT, b"")
    return (signed + DOT + base64url_encode(hmac(signed))).decode()


def shapes():
    good = GIVEN["access"]
    header, payload, signature = good.split(".")
    for name, token in {
        "no part": "",
        "one dot": ".",
        "two dots": "..",
        "three dots": "...",
        "one part": header,
        "two parts": f"{header}.{payload}",
        "two parts, the signature for a payload": f"{header}.{signature}",
        "four parts": f"{good}.{signature}",
        "four parts, the first empty": f".{good}",
        "four parts, the last empty": f"{good}.",
        "no header": f".{payload}.{signature}",
        "no payload": f"{header}..{signature}",
        "no payload, signed": make(payload=b""),
        "no header, signed": make(header=b""),
        "no signature": f"{header}.{payload}.",
        "parts in another order": f"{payload}.{header}.{signature}",
        "a padded header": f"{header}=.{payload}.{signature}",
        "a padded payload": f"{header}.{payload}=.{signature}",
        "a padded signature": f"{good}=",
        "a much padded signature": f"{good}====",
        "white space in a part": f"{header}. {payload}.{signature}",
        "a tab in a part": f"{header}.\t{payload}.{signature}",
        "the first letters of a personal access token": f"cmnd_{good}",
        "a personal access token that is a JWT": f"cmnd_{header}.sk_{signature}",
        "a JWT of parts of personal access tokens": f"{header}.sk_{payload}.{signature}",
        "in quotes": f'"{good}"',
        "percent-encoded": good.replace(".", "%2E"),
        "in small letters": good.lower(),
        "encoded once more": base64url_encode(good.encode()).decode(),
        "JSON serialisation, flat": text({"protected": header, "payload": payload, "signature": signature}),
        "JSON serialisation": text(
            {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
        ),
        "a JWE of nothing": base64url_encode(b'{"alg":"dir","enc":"A256GCM"}').decode() + "..AAAA.AAAA.AAAA",
        "a JWE with our signature": ".".join([header, "", payload, signature, signature]),
        "a JWE's header, signed": make({"alg": "dir", "enc": "A256GCM"}),
        "full-width dots": "\uff0e".join([header, payload, signature]),
        "a Cyrillic letter in front": "\u0435" + good[1:],
        "a zero-width space": f"{header}.\u200b{payload}.{signature}",
        "a soft hyphen": f"{header}.{payload}\u00ad.{signature}",
        "a byte order mark": "\ufeff" + good,
        "SQL": "' OR '1'='1' --",
        "a path": "../../etc/passwd",
        "null": "null",
        "undefined": "undefined",
        "[object Object]": "[object Object]",
    }.items():
        yield name, token
    # 32 bytes are 43 characters, of which the last has two bits to spare: there are no others for it.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spare in [1, 2, 3]:
        yield f"spare bits of the signature: {spare}", good[:-1] + alphabet[alphabet.index(good[-1]) ^ spare]
    yield "the standard alphabet of base64", standard_alphabet()
    yield "the standard alphabet, padded", standard_alphabet() + "="


def standard_alphabet():
    for number in range(1000):
        token = claim(jti=f"number {number}")
        if "-" in token and "_" in token:
            return token.replace("-", "+").replace("_", "/")
    raise AssertionError("no token with both")


def contents():
    claims = raw(CLAIMS)
    for name, payload in {
        "not UTF-8": claims.replace(b'"jti":"', b'"jti":"\xff\xfe'),
        "not UTF-8 where nobody looks": claims[:-1] + b',"x":"\xc3\x28"}',
        "an overlong slash": claims.replace(b'"jti":"', b'"jti":"\xc0\xaf'),
        "UTF-16": text(CLAIMS).encode("utf-16"),
        "a byte order mark before the JSON": b"\xef\xbb\xbf" + claims,
        "half a surrogate pair": claims.replace(b'"jti":"', b'"jti":"\\ud800'),
        "a line end in a string": claims.replace(b'"jti":"', b'"jti":"\n'),
        "a second object": claims + claims,
        "something behind the object": claims + b"x",
        "a NUL behind the object": claims + b"\0",
        "a trailing comma": claims[:-1] + b",}",
        "a comment": claims[:-1] + b"/* */}",
        "single quotes": claims.replace(b'"', b"'"),
        "cut short": claims[:-1],
        "text": text(text(CLAIMS)),
        "number": b"1",
        "null": b"null",
        "list": b"[]",
        "list of the object": [CLAIMS],
        "list of the values": list(CLAIMS.values()),
        "names in capitals": {name.upper(): value for name, value in CLAIMS.items()},
        "nested where a number goes": replaced(CLAIMS, f'"exp":{CLAIMS["exp"]}', '"exp":' + "[" * 900 + "]" * 900),
        "never closed": claims[:-1] + b',"x":' + b"[" * 1800,
    }.items():
        yield f"payload: {name}", make(payload=payload)
    for name, header in {
        "not UTF-8": raw(HEADER).replace(b'"kid":"', b'"kid":"\xff'),
        "a second object": raw(HEADER) * 2,
        "list": b"[]",
        "list of the values": list(HEADER.values()),
        "list of alg alone": ["HS256"],
        "text": text(text(HEADER)),
        "null": b"null",
        "empty object": {},
        "nested where a word goes": {**HEADER, "alg": json.loads("[" * 500 + "]" * 500)},
        "never closed": b'{"x":' + b"[" * 1800,
    }.items():
        yield f"header: {name}", make(header=header)
    spaced = json.dumps(CLAIMS, indent=2) + "\n"
    yield "payload: much white space", make(payload=spaced), "ok"
    yield "payload: escapes for letters", make(payload=replaced(CLAIMS, '"sub"', '"\\u0073\\u0075\\u0062"')), "ok"
    deep = claims[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"
    yield "payload: nested where nobody looks", make(payload=deep), "ok", ("ok", "RecursionError")
    yield "a token as long as may be", of_length(LONGEST), "ok"
    yield "a token a byte longer", of_length(LONGEST + 1)
    for size in [5_000, 30_000]:
        yield f"{size} bytes of header", head(x="h" * size)
        yield f"{size} bytes of payload", claim(x="p" * size)
        yield f"{size} bytes of one letter", "A" * size
        yield f"{size} dots", "." * size


def of_length(length):
    """Base64 has no text of 4 n + 1 characters: what the payload cannot take up, the header does."""
    for pad in range(3):
        header = text(HEADER) + " " * pad
        room = (length - len(make(header, edited(CLAIMS, {"x": ""})))) * 3 // 4
        for fill in range(room - 3, room + 4):
            token = make(header, edited(CLAIMS, {"x": "p" * fill}))
            if len(token) == length:
                return token
    raise AssertionError(f"no token of {length} bytes")


def cases():
    for group in [algorithms, key_ids, edited_claims, times, names, members, shapes, contents]:
        for name, token, *rest in group():
            expected, pyjwt = (rest + [None])[:2] if rest else ("unauthorized", None)
            found = verdict(token)
            # Where we let a token pass, PyJWT does too, but for those marked with its failure.
            if expected == "ok":
                allowed = pyjwt if isinstance(pyjwt, tuple) else (pyjwt or "ok",)
                assert found in allowed, f"{name}: PyJWT says {found}"
            yield {"name": name, "token": token, "expected": expected, "pyjwt": found}


def main():
    made = list(cases())
    assert len({case["name"] for case in made}) == len(made), "each case has a name of its own"
    own = {use: GIVEN[use] for use in ["access", "refresh"]}
    print(
        json.dumps(
            {
                "accepted": {use: verify(token) for use, token in own.items()},
                "refused": {use: verdict(token, SECRET[::-1]) for use, token in own.items()},
                "cases": made,
            },
            default=lambda value: base64url_encode(value).decode(),
        )
    )


if __name__ == "__main__":
    main()
