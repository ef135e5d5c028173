"""A certificate of our own for localhost, made at start and gone at exit: some clients speak nothing but HTTPS.

Made with the `cryptography` package where it is installed, else with the `openssl` program.
"""

import datetime as dt
import importlib
import importlib.util
import ipaddress
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOST, ADDRESS = "localhost", "127.0.0.1"
LIFETIME = dt.timedelta(days=30)
SLACK = dt.timedelta(days=1)

Make = Callable[[Path, Path], None]


class NoTls(RuntimeError):
    """No certificate can be made on this machine; the text says what would help."""


class Certificate:
    """Served by `context`; `path` is what a client is told to trust. `close` removes the file."""

    def __init__(self, make: Make | None = None) -> None:
        """Raises NoTls."""
        make = make or maker()
        self._folder = tempfile.TemporaryDirectory(prefix="parom-sandbox-")
        self.path, key = (Path(self._folder.name) / name for name in ("ca.pem", "key.pem"))
        try:
            make(self.path, key)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.path, key)
        except (OSError, subprocess.SubprocessError) as error:
            self.close()
            raise NoTls(f"no certificate could be made: {error}") from error
        key.unlink()

    def close(self) -> None:
        self._folder.cleanup()


def maker() -> Make:
    """The way to a certificate that this machine offers. Raises NoTls."""
    if importlib.util.find_spec("cryptography"):
        return with_cryptography
    if shutil.which("openssl"):
        return with_openssl
    raise NoTls("no https listener: neither the package cryptography nor the program openssl is installed")


def with_openssl(certificate: Path, key: Path) -> None:
    """Raises OSError or SubprocessError."""
    extensions = (
        f"subjectAltName=DNS:{HOST},IP:{ADDRESS}",
        "keyUsage=critical,digitalSignature,keyCertSign",
        "extendedKeyUsage=serverAuth",
    )
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", f"/CN={HOST}", "-days", str(LIFETIME.days), "-out", str(certificate), "-keyout", str(key)]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True, timeout=30)  # noqa: S603 - nothing here comes from outside


def with_cryptography(certificate: Path, key: Path) -> None:
    x509 = _part("x509")
    serialization, hashes = (_part(f"hazmat.primitives.{name}") for name in ("serialization", "hashes"))
    elliptic = _part("hazmat.primitives.asymmetric.ec")
    secret = elliptic.generate_private_key(elliptic.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address(ADDRESS))])
    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(("data_encipherment", "key_encipherment", "content_commitment", "key_agreement"), False)
    usage |= dict.fromkeys(("crl_sign", "encipher_only", "decipher_only"), False)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
        .add_extension(names, critical=False)
        .sign(secret, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.touch(mode=0o600)
    key.write_bytes(secret.private_bytes(pem, *plain))
    certificate.write_bytes(signed.public_bytes(pem))


def _part(name: str) -> Any:
    """Optional, and therefore unknown to the type checker."""
    return importlib.import_module(f"cryptography.{name}")
