// What goes wrong on the way: networks, rights, full disks, servers that die or fall silent. Each ends in an error that
// says so.
import Foundation
import NIOCore
import Testing

@testable import Destinations
@testable import Transport

@Suite("Failures", .enabled(if: OpenSSHServer.isInstalled)) struct FailureTests {
  private func settings(_ url: String, _ timeouts: SSHTimeouts = SSHTimeouts()) throws -> DestinationSettings {
    DestinationSettings(
      try DestinationAddress(url), secrets: DestinationSecrets(password: "x"),
      hostKeys: SSHHostKeyPolicy(acceptNew: true), timeouts: timeouts)
  }

  @Test("a port where nobody listens")
  func refusedPort() async throws {
    let steps = await SFTPDestination(try settings("sftp://u@127.0.0.1:\(try freePort())/x")).probe()
    #expect(steps.map(\.name) == ["resolve", "connect"])
    #expect(steps.last?.error?.kind == .unreachable)
    #expect(steps.last?.error?.providerCode == "ECONNREFUSED")
    #expect(steps.last?.error?.retryable == true)
  }

  @Test("a name that doesn't exist")
  func unknownName() async throws {
    let steps = await SFTPDestination(try settings("sftp://u@no-such-host.invalid/x")).probe()
    #expect(steps.map(\.name) == ["resolve"])
    #expect(steps.last?.error?.kind == .unreachable)
  }

  @Test("a server that accepts and never speaks")
  func blackHole() async throws {
    let silent = try SilentListener()
    let timeouts = SSHTimeouts(connect: .seconds(1), handshake: .milliseconds(700))
    let steps = await SFTPDestination(try settings("sftp://u@127.0.0.1:\(silent.port)/x", timeouts)).probe()
    #expect(steps.map(\.name) == ["resolve", "connect", "handshake"])
    #expect(steps.last?.error?.providerCode == "ETIMEDOUT", "\(steps)")
    #expect(try #require(steps.last).duration < .seconds(5))
  }

  @Test("a connection that is being made is given up when its task is cancelled")
  func cancelledConnect() async throws {
    let silent = try SilentListener()
    let destination = SFTPDestination(
      try settings("sftp://u@127.0.0.1:\(silent.port)/x", SSHTimeouts(handshake: .seconds(60))))
    let start = ContinuousClock.now
    let task = Task { try await destination.stat(RemotePath(.home)) }
    task.cancel()
    await #expect(throws: DestinationError.self) { try await task.value }
    #expect(ContinuousClock.now - start < .seconds(40))
  }

  @Test("a folder without the right to write")
  func permission() async throws {
    try PasswordUser.ensure()
    let server = try OpenSSHServer()
    chmod(server.files, 0o755)
    let destination = SFTPDestination(
      try server.settings(user: PasswordUser.name, secrets: DestinationSecrets(password: PasswordUser.password)))
    let path = try server.path("a.bin")
    let error = await #expect(throws: DestinationError.self) { try await destination.create(path, size: 1) }
    #expect(error?.kind == .denied)
    #expect(error?.providerCode == "SSH_FX_PERMISSION_DENIED")
    #expect(error?.message.contains(path.text) == true)
    await destination.close()
    let steps = await SFTPDestination(
      try server.settings(user: PasswordUser.name, secrets: DestinationSecrets(password: PasswordUser.password))
    ).probe()
    #expect(steps.last?.name == "write")
    #expect(steps.last?.error?.kind == .denied)
  }

  @Test("a file where a folder is needed, and a folder where the file should go")
  func fileInTheWay() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    try Data().write(to: URL(fileURLWithPath: server.files + "/taken"))
    let below = try server.path("taken/a.bin")
    let first = await #expect(throws: DestinationError.self) { try await destination.create(below, size: 1) }
    #expect(first?.kind == .conflict)
    try FileManager.default.createDirectory(atPath: server.files + "/folder", withIntermediateDirectories: true)
    let folder = try server.path("folder")
    let second = await #expect(throws: DestinationError.self) { try await destination.create(folder, size: 2 << 20) }
    #expect(second?.kind == .conflict)
    // A small file finds out at its end, for the sake of thousands that meet no folder.
    let small = try await destination.create(folder, size: 1)
    try await small.write(bytes(1), at: 0)
    let third = await #expect(throws: DestinationError.self) { try await small.commit(size: 1, overwrite: true) }
    #expect(third?.kind == .conflict)
    #expect(third?.message.contains("is a folder") == true)
    try await small.abandon()
    #expect(try Set(FileManager.default.contentsOfDirectory(atPath: server.files)) == ["folder", "taken"])
    await destination.close()
  }

  @Test("a disk that is too small is refused before, and a disk that fills up is told as such")
  func outOfSpace() async throws {
    let server = try OpenSSHServer()
    let small = server.files + "/small"
    try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: true)
    do { try run("/usr/bin/mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]) } catch {
      print("skipped: a small file system can't be mounted here (\(error))")
      return
    }
    defer { _ = try? run("/usr/bin/umount", ["-l", small]) }
    let destination = try server.destination()
    let path = try server.path("small/a.bin")
    let before = await #expect(throws: DestinationError.self) { try await destination.create(path, size: 2 << 20) }
    #expect(before?.kind == .noSpace)
    #expect(before?.message.contains("2097152") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: small).isEmpty)
    let file = try await destination.create(path, size: nil)
    let during = await #expect(throws: DestinationError.self) { try await file.write(bytes(2 << 20), at: 0) }
    #expect(during?.kind == .noSpace)
    #expect(during?.retryable == false)
    // The connection is still good.
    try await file.write(bytes(1000), at: 0)
    try await file.abandon()
    #expect(try FileManager.default.contentsOfDirectory(atPath: small).isEmpty)
    await destination.close()
  }

  @Test("a server that is killed midway ends every write with an error, and comes back without a new destination")
  func killed() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    let path = try server.path("a.bin")
    let content = bytes(8 << 20)
    let file = try await destination.create(path, size: nil)
    try await file.write(content, chunk: 1 << 20, width: 4)
    let running = Task {
      while true { try await file.write(content, chunk: 1 << 20, width: 4) }
    }
    try await file.write(content, chunk: 1 << 20, width: 1)
    server.stop()
    let error = await #expect(throws: DestinationError.self) { try await running.value }
    #expect(error?.kind == .unreachable)
    #expect(error?.retryable == true)
    try server.start()
    try await file.write(content, chunk: 1 << 20, width: 4)
    #expect(try await file.digest(of: 0..<8 << 20) == sha256(content))
    try await file.commit(size: 8 << 20, overwrite: true)
    #expect(try contents(server.files + "/a.bin") == content)
    await destination.close()
  }

  @Test("a server that falls silent is given up in time, and idle connections that died are replaced unseen")
  func silent() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination(connections: 2, io: .seconds(1))
    let path = try server.path("a.bin")
    let file = try await destination.create(path, size: nil)
    try await file.write(bytes(1000), at: 0)
    server.signalConnections(SIGSTOP)
    let start = ContinuousClock.now
    let error = await #expect(throws: DestinationError.self) { try await file.write(bytes(1000), at: 0) }
    #expect(error?.kind == .unreachable)
    #expect(ContinuousClock.now - start < .seconds(40))
    server.signalConnections(SIGCONT)
    try await file.write(bytes(1000), at: 0)
    server.stop()
    try server.start()
    try await file.write(bytes(1000, seed: 2), at: 0)
    #expect(try await file.digest(of: 0..<1000) == sha256(bytes(1000, seed: 2)))
    try await file.abandon()
    await destination.close()
  }

  @Test("a server that allows fewer connections than wanted is served with those it allows")
  func fewConnections() async throws {
    let server = try OpenSSHServer(settings: ["MaxStartups 1:100:1"])
    let destination = try server.destination(connections: 4)
    let file = try await destination.create(try server.path("a.bin"), size: nil)
    let content = bytes(16 << 20)
    try await file.write(content, chunk: 1 << 20, width: 16)
    try await file.commit(size: 16 << 20, overwrite: true)
    #expect(try contents(server.files + "/a.bin") == content)
    await destination.close()
  }

  @Test("waiting for a connection ends when the task is cancelled or the destination closed")
  func waiting() async throws {
    let silent = try SilentListener()
    let destination = SFTPDestination(
      try settings("sftp://u@127.0.0.1:\(silent.port)/x", SSHTimeouts(handshake: .seconds(60))))
    let start = ContinuousClock.now
    let cancelled = Task { try await destination.stat(RemotePath(.home)) }
    let closed = Task { try await destination.stat(RemotePath(.home)) }
    cancelled.cancel()
    #expect(await #expect(throws: DestinationError.self) { try await cancelled.value }?.kind == .cancelled)
    await destination.close()
    #expect(await #expect(throws: DestinationError.self) { try await closed.value }?.kind == .cancelled)
    #expect(ContinuousClock.now - start < .seconds(40))
  }

  @Test("a call in progress ends before its connection does, and later ones are refused")
  func closing() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination(connections: 1)
    let lease = try await destination.pool.lease()
    await destination.close()
    #expect(try await lease.connection.attributes(of: ".")?.isDirectory == true)
    await destination.pool.giveBack(lease)
    let late = await #expect(throws: DestinationError.self) { try await destination.stat(RemotePath(.home)) }
    #expect(late?.kind == .cancelled)
  }

  @Test("connections that come and go leave no descriptor open")
  func descriptors() async throws {
    func open() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
    let server = try OpenSSHServer()
    let connection = { () async throws -> Void in
      let connection = SFTPConnection(
        to: SSHEndpoint(host: "127.0.0.1", port: server.port),
        login: SSHLogin(user: "root", privateKey: try server.userKeyText()),
        hostKeys: SSHHostKeyPolicy(acceptNew: true))
      try await connection.connect()
      await connection.close()
    }
    // Other tests open and close theirs meanwhile: a leak would be forty.
    let before = try open()
    for _ in 0..<40 { try await connection() }
    #expect(try open() < before + 40)
  }
}
