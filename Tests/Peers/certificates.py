"""Certificates for the tests: authorities of our own, and servers and clients that they vouch for, or not.

Made anew for every run, with PyPI's `cryptography`, so that none can expire in the repository.
"""
import dataclasses
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
LOOPBACK = ("localhost", "127.0.0.1")


@dataclasses.dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""
    certificate: pathlib.Path
    key: pathlib.Path

    @property
    def serial(self) -> int:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number

    def replace(self, other: "Identity") -> None:
        """Puts another's certificate and key in these files, each in one step, as tools that renew certificates do."""
        for mine, new in ((self.key, other.key), (self.certificate, other.certificate)):
            staged = mine.with_suffix(".new")
            staged.write_bytes(new.read_bytes())
            os.replace(staged, mine)


class Authority:
    """Signs certificates. `certificate` is the PEM file that others have to trust."""

    def __init__(self, directory: pathlib.Path, name: str = "authority"):
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(f"FileFerry test {name}")
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key(), -DAY, 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256()))
        self.certificate = directory / f"{name}.pem"
        self.certificate.write_bytes(_pem(self._certificate))

    def server(self, file: str, names: tuple[str, ...] = LOOPBACK, expired: bool = False) -> Identity:
        return self._issue(file, names, ExtendedKeyUsageOID.SERVER_AUTH, expired)

    def client(self, file: str, expired: bool = False) -> Identity:
        return self._issue(file, (file,), ExtendedKeyUsageOID.CLIENT_AUTH, expired)

    def _issue(self, file: str, names: tuple[str, ...], purpose, expired: bool) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        begin, end = (-20 * DAY, -DAY) if expired else (-DAY, 20 * DAY)
        certificate = (
            _builder(self._name, _common_name(file), key.public_key(), begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256()))
        identity = Identity(self.directory / f"{file}.pem", self.directory / f"{file}.key")
        identity.certificate.write_bytes(_pem(certificate))
        identity.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        identity.key.chmod(0o600)
        return identity


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(issuer, subject, public_key, begin, end) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).public_key(public_key)
        .serial_number(x509.random_serial_number()).not_valid_before(now + begin).not_valid_after(now + end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False))


def _key_usage(**wanted: bool) -> x509.KeyUsage:
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{use: wanted.get(use, False) for use in uses})
