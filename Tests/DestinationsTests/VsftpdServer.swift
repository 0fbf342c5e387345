// A real vsftpd for the tests: its own port, certificate and folder, on loopback, gone with the object. Logins are
// anonymous ones with a list of passwords, so that no user of this machine has to be made.
import Foundation
import NIOCore
import Testing

@testable import Destinations
@testable import Transport

/// Confined to the test that made it, but for `stop`.
final class VsftpdServer: @unchecked Sendable {
  static let path: String = "/usr/sbin/vsftpd"
  static let password = "pass word-%42"
  static var isInstalled: Bool { InstalledServer.canStart(path) }

  enum Mode: String, CaseIterable, Sendable {
    case ftp, ftpes, ftps
  }

  let folder: String
  let port: UInt16
  let mode: Mode
  private var process: pid_t?

  /// `settings`: further lines of vsftpd.conf; the last mention of a key counts.
  init(_ mode: Mode = .ftp, settings: [String] = []) throws {
    self.mode = mode
    folder = NSTemporaryDirectory() + "ferry-vsftpd-" + UUID().uuidString
    port = try freePort()
    try FileManager.default.createDirectory(atPath: folder + "/root/in", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: folder + "/empty", withIntermediateDirectories: true)
    // The login's root may not be writable, only what is below it.
    for part in ["", "/root", "/empty"] { chmod(folder + part, 0o755) }
    chmod(folder + "/root/in", 0o777)
    try (Self.password + "\n").write(toFile: folder + "/passwords", atomically: true, encoding: .utf8)
    try makeCertificate("server")
    var lines = [
      "listen=YES", "listen_address=127.0.0.1", "listen_port=\(port)", "background=NO", "seccomp_sandbox=NO",
      "anonymous_enable=YES", "local_enable=NO", "secure_email_list_enable=YES",
      "email_password_file=\(folder)/passwords", "write_enable=YES", "anon_upload_enable=YES",
      "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES", "anon_world_readable_only=NO", "anon_umask=022",
      "anon_root=\(folder)/root", "secure_chroot_dir=\(folder)/empty", "xferlog_enable=NO", "delay_failed_login=0",
    ]
    if mode != .ftp {
      lines += [
        "ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES", "force_anon_data_ssl=YES",
        "require_ssl_reuse=YES", "rsa_cert_file=\(folder)/server.pem", "ssl_ciphers=HIGH",
      ]
    }
    if mode == .ftps { lines.append("implicit_ssl=YES") }
    let text = (lines + settings).joined(separator: "\n") + "\n"
    try text.write(toFile: folder + "/vsftpd.conf", atomically: true, encoding: .utf8)
    try start()
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// A self-signed one, with its key, as `name`.pem and as `name`.crt without.
  private func makeCertificate(_ name: String) throws {
    let (key, certificate) = ("\(folder)/\(name).key", "\(folder)/\(name).crt")
    try run(
      "/usr/bin/openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
        certificate, "-days", "2", "-subj", "/CN=ferry test", "-addext", "subjectAltName=IP:127.0.0.1",
      ])
    let both = try String(contentsOfFile: key, encoding: .utf8) + String(contentsOfFile: certificate, encoding: .utf8)
    try both.write(toFile: "\(folder)/\(name).pem", atomically: true, encoding: .utf8)
  }

  var certificate: String { (try? String(contentsOfFile: folder + "/server.crt", encoding: .utf8)) ?? "" }

  private func start() throws {
    // Foundation's Process loses sight of a child that closes all descriptors.
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor: Int32 in 0...2 {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let command: [String] = [VsftpdServer.path, "\(folder)/vsftpd.conf"]
    var words = command.map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var pid = pid_t()
    let status = posix_spawn(&pid, Self.path, &actions, nil, &words, environ)
    guard status == 0 else { throw Failure("vsftpd can't be started: \(status)") }
    process = pid
    // It says nothing when it listens; a refused connection says that it doesn't yet.
    let deadline = Date().addingTimeInterval(10)
    while !canConnect(port) {
      guard waitpid(pid, nil, WNOHANG) == 0, Date() < deadline else { throw Failure("vsftpd doesn't listen") }
      usleep(2000)
    }
  }

  /// Ends the listener and every connection it made.
  func stop() {
    guard let process else { return }
    endConnections()
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
    self.process = nil
  }

  /// Ends every process that serves a connection, as a crash would; the listener goes on.
  func endConnections() {
    guard let process else { return }
    for pid in children(of: process) { kill(pid, SIGKILL) }
  }

  private func children(of pid: pid_t) -> [pid_t] {
    let list = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
    let children = (list ?? "").split(separator: " ").compactMap { pid_t($0) }
    return children + children.flatMap { self.children(of: $0) }
  }

  // MARK: Destinations on it

  /// What the login sees as "/in".
  var files: String { folder + "/root/in" }

  func settings(
    path: String = "/in", password: String = VsftpdServer.password, connections: Int = 4, ftp: FTPSettings? = nil
  ) throws -> DestinationSettings {
    let address = try DestinationAddress("\(mode.rawValue)://ftp@127.0.0.1:\(port)\(path)")
    return DestinationSettings(
      address, secrets: DestinationSecrets(password: password), maxConnections: connections,
      timeouts: SSHTimeouts(connect: .seconds(5), handshake: .seconds(10), io: .seconds(20)),
      ftp: ftp ?? FTPSettings(trustedCertificatesPEM: mode == .ftp ? nil : certificate))
  }

  func destination(connections: Int = 4, active: Bool = false) throws -> FTPDestination {
    var settings = try settings(connections: connections)
    settings.ftp.active = active
    return FTPDestination(settings)
  }

  func path(_ key: String) throws -> RemotePath { try RemotePath(.root, parts: ["in"]).appending(key) }

  func content(_ key: String) throws -> ByteBuffer { try contents(files + "/" + key) }

  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: files).sorted() } }
}
