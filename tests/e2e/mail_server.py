"""A mail server for the tests: aiosmtpd, with a certificate of its own.

Options come as one JSON object in the first argument: `security` is `starttls`, `tls` or `none`; `password` is the one of
the user `edge`, or null; `replies` are answers to the next DATA commands, before it takes mails. Prints one JSON object a
line: first `{"port", "certificate"}`, then each mail, `{"from", "to", "data", "is_secure", "user"}`, and each
password that was shown in the clear, `{"exposed": true}`. Ends with its standard input.
"""

import asyncio
import datetime
import ipaddress
import json
import ssl
import sys
import tempfile

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

options = json.loads(sys.argv[1])


def say(message):
    print(json.dumps(message), flush=True)


def make_certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, private


pem, private = make_certificate()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile() as file:
    file.write(pem + private)
    file.flush()
    context.load_cert_chain(file.name)


def authenticate(server, session, envelope, mechanism, data):
    if session.ssl is None and options["security"] == "starttls":
        say({"exposed": True})
    is_right = (data.login, data.password) == (b"edge", (options.get("password") or "").encode())
    return AuthResult(success=is_right, handled=False, auth_data=data.login.decode() if is_right else None)


class Handler:
    replies = list(options.get("replies", []))

    async def handle_DATA(self, server, session, envelope):
        if self.replies:
            reply = self.replies.pop(0)
            if reply == "hang":
                await asyncio.sleep(3600)
            if reply == "close":
                server.transport.abort()
            return reply
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": envelope.content.decode(),
                "is_secure": session.ssl is not None or options["security"] == "tls",
                "user": getattr(session, "auth_data", None),
            }
        )
        return "250 taken"


def make_server():
    has_password = options.get("password") is not None
    return SMTP(
        Handler(),
        hostname="localhost",
        tls_context=context if options["security"] == "starttls" else None,
        require_starttls=options["security"] == "starttls",
        authenticator=authenticate if has_password else None,
        auth_required=has_password,
        auth_require_tls=options["security"] == "starttls",
    )


async def main():
    loop = asyncio.get_running_loop()
    tls = context if options["security"] == "tls" else None
    server = await loop.create_server(make_server, "127.0.0.1", 0, ssl=tls)
    say({"port": server.sockets[0].getsockname()[1], "certificate": pem.decode()})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
