// A real OpenSSH server for the tests: its own keys, port and folder, on loopback, gone with the object.
import Foundation
import Testing

@testable import Destinations
@testable import Transport

/// Confined to the test that made it, but for `stop`.
final class OpenSSHServer: @unchecked Sendable {
  static let path = "/usr/sbin/sshd"
  static var isInstalled: Bool { InstalledServer.canStart(path) }

  let folder: String
  let port: UInt16
  private(set) var keys: [String: String] = [:]
  private var process: pid_t?
  private let settings: [String]

  var address: String { "127.0.0.1:\(port)" }

  /// `hostKeys`: types for ssh-keygen. `settings`: further lines of sshd_config.
  init(hostKeys: [String] = ["ed25519"], settings: [String] = [], port: UInt16? = nil) throws {
    folder = NSTemporaryDirectory() + "ferry-sshd-" + UUID().uuidString
    self.settings = settings
    self.port = try port ?? freePort()
    try FileManager.default.createDirectory(atPath: folder + "/files", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
    chmod(folder, 0o755)
    chmod(folder + "/files", 0o777)
    for type in hostKeys {
      try run("/usr/bin/ssh-keygen", ["-q", "-t", type, "-N", "", "-f", "\(folder)/host_\(type)"])
      keys[type] = try fingerprint("\(folder)/host_\(type).pub")
    }
    try userKey("user", ["-t", "ed25519"], passphrase: "")
    try writeConfiguration()
    try start()
  }

  deinit { remove() }

  func remove() {
    stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Makes a key pair, lets it log in, and returns the private half.
  @discardableResult
  func userKey(_ name: String, _ kind: [String], passphrase: String) throws -> String {
    let file = "\(folder)/\(name)"
    try run("/usr/bin/ssh-keygen", ["-q", "-N", passphrase, "-f", file] + kind)
    let line = try String(contentsOfFile: file + ".pub", encoding: .utf8)
    let list = folder + "/authorized_keys"
    let before = (try? String(contentsOfFile: list, encoding: .utf8)) ?? ""
    try (before + line).write(toFile: list, atomically: true, encoding: .utf8)
    chmod(list, 0o644)
    return try String(contentsOfFile: file, encoding: .utf8)
  }

  func userKeyText() throws -> String { try String(contentsOfFile: folder + "/user", encoding: .utf8) }

  private func writeConfiguration() throws {
    // The first mention of a keyword counts.
    var lines = settings + [
      "Port \(port)", "ListenAddress 127.0.0.1", "PidFile \(folder)/pid",
      "AuthorizedKeysFile \(folder)/authorized_keys",
      "StrictModes no", "UsePAM no", "PermitRootLogin yes", "MaxStartups 100", "LogLevel VERBOSE",
    ]
    lines += keys.keys.map { "HostKey \(folder)/host_\($0)" }
    for fallback in ["Subsystem sftp internal-sftp", "PasswordAuthentication yes"] {
      let keyword = fallback.prefix { $0 != " " }
      if !settings.contains(where: { $0.hasPrefix(keyword) }) { lines.append(fallback) }
    }
    let text = lines.joined(separator: "\n") + "\n"
    try text.write(toFile: folder + "/config", atomically: true, encoding: .utf8)
  }

  func start() throws {
    let (pid, log) = try spawn(Self.path, ["-D", "-e", "-f", folder + "/config"])
    process = pid
    // The server says when it listens.
    var said = ""
    while !said.contains("Server listening") {
      guard let more = readSome(log) else { throw Failure("sshd ended: \(said)") }
      said += more
    }
    _ = POSIXThread.detach {
      while readSome(log) != nil {}
      close(log)
    }
  }

  /// Ends the listener and every connection it made.
  func stop() {
    guard let process else { return }
    let family = descendants(of: process)
    for pid in [process] + family { kill(pid, SIGKILL) }
    waitpid(process, nil, 0)
    self.process = nil
  }

  /// Stops or continues every process that serves a connection, so that the peer falls silent without closing.
  func signalConnections(_ signal: Int32) {
    guard let process else { return }
    for pid in descendants(of: process) { kill(pid, signal) }
  }

  // MARK: Destinations on it

  var files: String { folder + "/files" }

  func settings(
    path: String = "", user: String = "root", secrets: DestinationSecrets? = nil, hostKeys: SSHHostKeyPolicy? = nil,
    connections: Int = 4, io: Duration = .seconds(20)
  ) throws -> DestinationSettings {
    let address = try DestinationAddress("sftp://\(user)@127.0.0.1:\(port)\(files)\(path)")
    return DestinationSettings(
      address, secrets: try secrets ?? DestinationSecrets(privateKey: userKeyText()),
      hostKeys: hostKeys ?? SSHHostKeyPolicy(known: Array(keys.values)), maxConnections: connections,
      timeouts: SSHTimeouts(connect: .seconds(2), handshake: .seconds(10), io: io))
  }

  func destination(user: String = "root", connections: Int = 4, io: Duration = .seconds(20)) throws -> SFTPDestination {
    SFTPDestination(try settings(user: user, connections: connections, io: io))
  }

  func path(_ key: String) throws -> RemotePath {
    try RemotePath(.root, parts: files.split(separator: "/").map(String.init)).appending(key)
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// No child may start between a pipe's making and its mark, or a server would keep another's pipe open for good.
private let spawning = NSLock()

private func closingPipe() throws -> [Int32] {
  try spawning.withLock {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Failure("no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return ends
  }
}

/// Starts a program whose output and errors come out of the descriptor. Foundation's Process loses sight of a child
/// that closes all descriptors, as sshd does.
func spawn(_ program: String, _ arguments: [String], input: Int32? = nil) throws -> (pid_t, Int32) {
  let ends = try closingPipe()
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  if let input {
    posix_spawn_file_actions_adddup2(&actions, input, 0)
  } else {
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
  }
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
  var words = ([program] + arguments).map { strdup($0) } + [nil]
  defer { words.forEach { free($0) } }
  var pid = pid_t()
  let status = spawning.withLock { posix_spawn(&pid, program, &actions, nil, &words, environ) }
  close(ends[1])
  guard status == 0 else { throw Failure("\(program) can't be started: \(status)") }
  return (pid, ends[0])
}

private func readSome(_ descriptor: Int32) -> String? {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let count = read(descriptor, &buffer, buffer.count)
  return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
}

@discardableResult
func run(_ program: String, _ arguments: [String], input: String = "") throws -> String {
  let ends = try closingPipe()
  let (pid, output) = try spawn(program, arguments, input: ends[0])
  close(ends[0])
  _ = input.withCString { write(ends[1], $0, input.utf8.count) }
  close(ends[1])
  var text = ""
  while let more = readSome(output) { text += more }
  close(output)
  var status: Int32 = 0
  waitpid(pid, &status, 0)
  guard status == 0 else { throw Failure("\(program) \(arguments.joined(separator: " ")): \(text)") }
  return text
}

private func descendants(of pid: pid_t) -> [pid_t] {
  let list = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
  let children = (list ?? "").split(separator: " ").compactMap { pid_t($0) }
  return children + children.flatMap { descendants(of: $0) }
}

private func fingerprint(_ publicKey: String) throws -> String {
  let words = try run("/usr/bin/ssh-keygen", ["-l", "-E", "sha256", "-f", publicKey]).split(separator: " ")
  return String(words[1])
}

/// Of the moment; nothing else on this machine is likely to take it before the server does.
func freePort() throws -> UInt16 {
  let listener = try SilentListener()
  return listener.port
}

/// Somebody listens there, on loopback.
func canConnect(_ port: UInt16) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

/// A socket that listens and never answers: the kernel completes the TCP handshake, nobody speaks.
final class SilentListener {
  private let descriptor: Int32
  let port: UInt16

  init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, length) == 0 && listen(descriptor, 8) == 0
          && getsockname(descriptor, pointer, &length) == 0
      }
    }
    guard bound else { throw Failure("no port on loopback") }
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}
