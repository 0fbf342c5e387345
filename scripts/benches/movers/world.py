"""The servers of the delivery bench, started once for all runs: an S3 server as the source, OpenSSH and vsftpd as
destinations, all of whose files are in memory.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "scripts/lib"), str(ROOT / "Tests/Peers")]
import servers  # noqa: E402
from fault_servers import RcloneS3  # noqa: E402

MEMORY = pathlib.Path("/dev/shm")
BUCKET = "bench"
FTP_USER, FTP_PASSWORD = "ferrybench", "a bench password 17"
# How `ferry deliver` is told to take a certificate that no authority signed.
FTPES_TRUST = ["--accept-new-host-key"]


class BenchFailed(Exception):
    """A figure could not be had; the text says why."""


class Server:
    """A destination: how each of the movers names it and logs in."""

    def __init__(self, scheme: str, server, login: list[str], user: str):
        self.scheme, self.server, self.login, self.user = scheme, server, login, user

    def url(self, path: pathlib.Path, port: int | None = None) -> str:
        return f"{self.scheme}://{self.user}@127.0.0.1:{port or self.server.port}{path}"

    def rclone_remote(self, obscure, port: int | None) -> dict[str, str]:
        common = {"HOST": "127.0.0.1", "PORT": port or self.server.port, "USER": self.user}
        if self.scheme == "sftp":
            return common | {"TYPE": "sftp", "KEY_FILE": self.server.identity}
        remote = common | {"TYPE": "ftp", "PASS": obscure(FTP_PASSWORD)}
        if self.scheme == "ftpes":
            # vsftpd takes the end of rclone's uploads under TLS 1.3 for a cut; rclone has this option for such servers.
            remote |= {"EXPLICIT_TLS": "true", "NO_CHECK_CERTIFICATE": "true", "DISABLE_TLS13": "true"}
        return remote


class Vsftpd(servers.Program):
    """Plain FTP, or explicit FTPS that asks for TLS and for the session on data connections."""

    PASSIVE_PORTS = 200

    def __init__(self, directory: pathlib.Path, is_tls: bool):
        super().__init__("vsftpd-tls" if is_tls else "vsftpd", directory)
        self.is_tls = is_tls
        self.port, *passive = servers.free_ports(1 + self.PASSIVE_PORTS, consecutive=True)
        self.passive = (passive[0], passive[-1])
        self.certificate = self.directory / "certificate.pem"

    @staticmethod
    def program() -> str | None:
        return shutil.which("vsftpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def start(self) -> "Vsftpd":
        lines = [
            "listen=YES", "listen_address=127.0.0.1", f"listen_port={self.port}", "background=NO", "anonymous_enable=NO",
            "local_enable=YES", "write_enable=YES", "local_umask=022", "seccomp_sandbox=NO", "xferlog_enable=NO",
            "pasv_address=127.0.0.1", f"pasv_min_port={self.passive[0]}", f"pasv_max_port={self.passive[1]}",
            "pam_service_name=vsftpd", f"secure_chroot_dir={self._empty()}"]
        if self.is_tls:
            self._make_certificate()
            lines += ["ssl_enable=YES", "force_local_logins_ssl=YES", "force_local_data_ssl=YES", "require_ssl_reuse=YES",
                      "ssl_ciphers=HIGH", f"rsa_cert_file={self.certificate}", f"rsa_private_key_file={self.certificate}"]
        config = self.directory / "vsftpd.conf"
        config.write_text("\n".join(lines) + "\n")
        self.launch([self.program(), str(config)])
        self.await_ready(lambda: servers.greets(self.port, b"220"))
        return self

    def _empty(self) -> pathlib.Path:
        empty = self.directory / "empty"
        empty.mkdir(exist_ok=True)
        return empty

    def _make_certificate(self) -> None:
        key = self.directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(self.certificate)],
            check=True, capture_output=True)
        with open(self.certificate, "a") as both:
            both.write(key.read_text())
        key.unlink()


class World:
    """Folders in memory and the servers on them, made when they are first asked for."""

    def __init__(self, source: str, stack: contextlib.ExitStack):
        self.stack = stack
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="fileferry-bench-", dir=MEMORY))
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="fileferry-bench-"))
        for directory in (self.memory, self.disk):
            stack.callback(shutil.rmtree, directory, True)
            directory.chmod(0o755)  # another user writes below them
        self.rclone = RcloneS3.find()
        self.files = self.memory / "s3" / BUCKET
        self.files.mkdir(parents=True)
        self._source_name = source
        self.source = self._source(source)
        self._servers: dict[str, Server] = {}
        self._count = 0

    def _source(self, name: str):
        if name == "weed":
            server = servers.SeaweedFS(self.memory / "seaweedfs")
            server.rclone_provider = "SeaweedFS"
        else:
            server = RcloneS3(self.disk / "rclone", self.memory / "s3", options=["--dir-cache-time", "24h"])
            server.rclone_provider = "Rclone"
        self.stack.callback(server.stop)
        return server.start()

    @contextlib.contextmanager
    def source_is(self, name: str):
        """Another source for a while. All servers stop with the world."""
        before = self.source
        if name != self._source_name:
            self.source = self._source(name)
        try:
            yield
        finally:
            self.source = before

    @property
    def holds_files(self) -> bool:
        """The source shows the files in `files` as they are; another has to have them uploaded."""
        return isinstance(self.source, RcloneS3)

    def show_files(self) -> None:
        """rclone's server remembers folders as it saw them first, and the MD5 of files as long as it remembers those."""
        if self.holds_files:
            self.source.stop()
            self.source.start()

    def server(self, scheme: str) -> Server:
        if scheme not in self._servers:
            self._servers[scheme] = self._sftp() if scheme == "sftp" else self._ftp(scheme)
        return self._servers[scheme]

    def _sftp(self) -> Server:
        sshd = servers.OpenSSH(self.disk / "sshd")
        self.stack.callback(sshd.stop)
        sshd.start()
        return Server("sftp", sshd, ["--identity", str(sshd.identity), "--host-key", sshd.fingerprint], sshd.user)

    def _ftp(self, scheme: str) -> Server:
        if os.geteuid() != 0:
            raise BenchFailed("an FTP server with a user of its own can only be started by root")
        if Vsftpd.program() is None:
            raise BenchFailed("vsftpd is not installed (Debian: vsftpd)")
        try:
            pwd.getpwnam(FTP_USER)
        except KeyError:
            # A shell that /etc/shells knows, which vsftpd's PAM asks for.
            subprocess.run(["useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", FTP_USER], check=True)
            self.stack.callback(subprocess.run, ["userdel", FTP_USER], capture_output=True)
        subprocess.run(["chpasswd"], input=f"{FTP_USER}:{FTP_PASSWORD}", text=True, check=True)
        server = Vsftpd(self.disk / scheme, scheme == "ftpes")
        self.stack.callback(server.stop)
        server.start()
        password = self.disk / "ftp.password"
        password.touch(0o600)
        password.write_text(FTP_PASSWORD)
        login = ["--password-file", str(password)]
        if scheme == "ftpes":
            login += FTPES_TRUST  # the certificate is one of the server's own
        return Server(scheme, server, login, FTP_USER)

    def inbox(self, on_disk: bool = False) -> pathlib.Path:
        """An empty folder at the destination, that any of the servers' users may write to."""
        self._count += 1
        folder = (self.disk if on_disk else self.memory) / f"inbox-{self._count}"
        folder.mkdir()
        folder.chmod(0o777)
        return folder
