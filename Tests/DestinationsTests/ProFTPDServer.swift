// A real ProFTPD for the tests, which hashes files itself (mod_digest): its own port and folder, on loopback, gone with the
// object.
import Foundation
import NIOCore

@testable import Destinations
@testable import Transport

/// Confined to the test that made it, but for `stop`.
final class ProFTPDServer: @unchecked Sendable {
  /// Unpacked by scripts/test.
  static let home = URL(filePath: #filePath).appending(path: "../../../.build/proftpd").standardized.path
  static let path = home + "/usr/sbin/proftpd"
  static let password = "pass-word-42"
  static var isInstalled: Bool { InstalledServer.canStart(path) }

  let folder: String
  let port: UInt16
  private var process: pid_t?
  private let output: Int32

  /// - Parameters:
  ///   - algorithms: of mod_digest: "crc32 md5 sha1 sha256".
  ///   - settings: further lines of its configuration.
  init(algorithms: String, settings: [String] = []) throws {
    folder = NSTemporaryDirectory() + "ferry-proftpd-" + UUID().uuidString
    port = try freePort()
    try FileManager.default.createDirectory(atPath: folder + "/root/in", withIntermediateDirectories: true)
    let hash = try run("/usr/bin/openssl", ["passwd", "-5", Self.password]).trimmingCharacters(in: .whitespacesAndNewlines)
    let user = "ferry:\(hash):0:0::\(folder)/root:/bin/false\n"
    try user.write(toFile: folder + "/passwd", atomically: true, encoding: .utf8)
    chmod(folder + "/passwd", 0o600)
    let lines = [
      "ServerType standalone", "DefaultAddress 127.0.0.1", "SocketBindTight on", "Port \(port)", "UseIPv6 off", "WtmpLog off",
      "PidFile \(folder)/pid", "ScoreboardFile \(folder)/scoreboard", "SystemLog \(folder)/log", "ModulePath \(Self.home)/usr/lib/proftpd", "LoadModule mod_digest.c",
      "User root", "Group root", "AuthUserFile \(folder)/passwd", "AuthOrder mod_auth_file.c", "RootLogin on",
      "RequireValidShell off", "DefaultRoot ~", "AllowOverwrite on", "AllowStoreRestart on", "DigestEngine on",
      "DigestAlgorithms \(algorithms)",
    ]
    let text = (lines + settings).joined(separator: "\n") + "\n"
    try text.write(toFile: folder + "/proftpd.conf", atomically: true, encoding: .utf8)
    let pid: pid_t
    (pid, output) = try spawn(Self.path, ["-n", "-c", folder + "/proftpd.conf"])
    process = pid
    let deadline = Date().addingTimeInterval(10)
    while !canConnect(port) {
      guard waitpid(pid, nil, WNOHANG) == 0, Date() < deadline else { throw Failure("ProFTPD doesn't listen") }
      usleep(2000)
    }
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  func stop() {
    guard let process else { return }
    let list = try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
    for pid in (list ?? "").split(separator: " ").compactMap({ pid_t($0) }) { kill(pid, SIGKILL) }
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
    close(output)
    self.process = nil
  }

  /// What the login sees as "/in".
  var files: String { folder + "/root/in" }

  func destination() throws -> FTPDestination {
    let address = try DestinationAddress("ftp://ferry@127.0.0.1:\(port)/in")
    return FTPDestination(
      DestinationSettings(
        address, secrets: DestinationSecrets(password: Self.password), maxConnections: 4,
        timeouts: SSHTimeouts(connect: .seconds(5), handshake: .seconds(10), io: .seconds(20))))
  }

  func path(_ key: String) throws -> RemotePath { try RemotePath(.root, parts: ["in"]).appending(key) }
}
