// A file's way to a real OpenSSH server: parallel chunks, proof by read-back, resumption, the rename, and odd names.
import Crypto
import Foundation
import NIOCore
import Testing

@testable import Destinations
@testable import Transport

/// Bytes that repeat from their seed (xorshift64).
func bytes(_ count: Int, seed: UInt64 = 1) -> ByteBuffer {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  var words = [UInt64](repeating: 0, count: (count + 7) / 8)
  for index in words.indices {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    words[index] = state
  }
  return words.withUnsafeBytes { ByteBuffer(bytes: $0.prefix(count)) }
}

func sha256(_ bytes: ByteBuffer) -> ContentDigest {
  ContentDigest(sha256: SHA256.hash(data: Data(bytes.readableBytesView)))
}

func contents(_ path: String) throws -> ByteBuffer {
  ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: path)))
}

extension RemoteFile {
  /// Writes `content` in chunks, `width` at once.
  func write(_ content: ByteBuffer, chunk: Int, width: Int) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      var started = 0
      for offset in stride(from: 0, to: content.readableBytes, by: chunk) {
        if started >= width { try await group.next() }
        started += 1
        let piece = content.getSlice(at: offset, length: min(chunk, content.readableBytes - offset))!
        group.addTask { try await self.write(piece, at: Int64(offset)) }
      }
      try await group.waitForAll()
    }
  }
}

@Suite("Deliveries", .enabled(if: OpenSSHServer.isInstalled)) struct DeliveryTests {
  @Test("40 MB in parallel chunks over four connections arrive equal")
  func parallel() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    let content = bytes(40_000_003)
    let path = try server.path("deep/er/report.bin")
    let file = try await destination.create(path, size: Int64(content.readableBytes))
    try await file.write(content, chunk: 4 << 20, width: 8)
    #expect(try await file.size() == 40_000_003)
    #expect(try await destination.stat(path) == nil)
    #expect(FileManager.default.fileExists(atPath: server.files + "/deep/er/report.bin.part"))

    let seen = Seen()
    let whole = try await file.readBack(0..<40_000_003, chunkSize: 8 << 20) { (chunk) async throws(DestinationError) in
      await seen.add(chunk)
    }
    #expect(whole == sha256(content))
    let chunks = await seen.chunks
    #expect(chunks.map(\.range.lowerBound) == [0, 8 << 20, 16 << 20, 24 << 20, 32 << 20])
    for chunk in chunks {
      let slice = content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!
      #expect(chunk.code == sha256(slice).bytes)
    }
    #expect(try await file.digest(of: 1000..<2_000_001) == sha256(content.getSlice(at: 1000, length: 1_999_001)!))

    try await file.commit(size: 40_000_003, overwrite: false)
    #expect(try contents(server.files + "/deep/er/report.bin") == content)
    #expect(try await destination.digest(of: path) == sha256(content))
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files + "/deep/er") == ["report.bin"])
    await destination.close()
  }

  private actor Seen {
    var chunks: [RemoteChunk] = []
    func add(_ chunk: RemoteChunk) { chunks.append(chunk) }
  }

  @Test("a reopened file keeps its bytes and goes on, from another process's connections")
  func resume() async throws {
    let server = try OpenSSHServer()
    let content = bytes(3 << 20)
    let path = try server.path("a.bin")
    let first = try server.destination()
    let begun = try await first.create(path, size: nil)
    try await begun.write(content.getSlice(at: 1 << 20, length: 1 << 20)!, at: 1 << 20)
    await begun.close()
    await first.close()

    let second = try server.destination()
    let file = try await second.reopen(path)
    #expect(try await file.digest(of: 1 << 20..<2 << 20) == sha256(content.getSlice(at: 1 << 20, length: 1 << 20)!))
    try await file.write(content.getSlice(at: 0, length: 1 << 20)!, at: 0)
    try await file.write(content.getSlice(at: 2 << 20, length: 1 << 20)!, at: 2 << 20)
    try await file.commit(size: 3 << 20, overwrite: true)
    #expect(try contents(server.files + "/a.bin") == content)
    await second.close()
  }

  @Test("a .part file that is gone can't be reopened, and a size that is wrong can't be committed")
  func goneAndWrong() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    let path = try server.path("a.bin")
    #expect(await #expect(throws: DestinationError.self) { try await destination.reopen(path) }?.kind == .missing)
    let file = try await destination.create(path, size: 10)
    try await file.write(bytes(9), at: 0)
    await #expect(throws: DestinationError.self) { try await file.commit(size: 10, overwrite: true) }
    #expect(try await destination.stat(path) == nil)
    let short = await #expect(throws: DestinationError.self) { try await file.digest(of: 0..<10) }
    #expect(short?.message.contains("1 bytes short") == true)
    try await file.abandon()
    try await destination.removePart(of: path)
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files).isEmpty)
    await destination.close()
  }

  @Test("an existing file is replaced in one step, or not at all")
  func overwrite() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    #expect(try await destination.capabilities().atomicReplace)
    #expect(try await destination.capabilities().flushes)
    let path = try server.path("a.bin")
    try Data("old".utf8).write(to: URL(fileURLWithPath: server.files + "/a.bin"))
    let file = try await destination.create(path, size: 5)
    try await file.write(bytes(5), at: 0)
    let refused = await #expect(throws: DestinationError.self) { try await file.commit(size: 5, overwrite: false) }
    #expect(refused?.kind == .conflict)
    #expect(try contents(server.files + "/a.bin") == ByteBuffer(string: "old"))
    try await file.commit(size: 5, overwrite: true)
    #expect(try contents(server.files + "/a.bin") == bytes(5))
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files) == ["a.bin"])
    await destination.close()
  }

  @Test("a server without posix-rename replaces in steps, and a crash between them is mended")
  func replaceInSteps() async throws {
    let server = try OpenSSHServer(settings: ["Subsystem sftp internal-sftp -P posix-rename"])
    let destination = try server.destination()
    let path = try server.path("a.bin")
    let target = URL(fileURLWithPath: server.files + "/a.bin")
    try Data("old".utf8).write(to: target)
    let file = try await destination.create(path, size: 5)
    try await file.write(bytes(5), at: 0)
    try await destination.pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.replaceInSteps(path)
    }
    #expect(try contents(target.path) == bytes(5))
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files) == ["a.bin"])

    // As if the process had ended after the old file stepped aside.
    try FileManager.default.moveItem(atPath: target.path, toPath: server.files + "/" + path.replaced.name!)
    let again = try await destination.create(path, size: 1)
    #expect(try contents(target.path) == bytes(5))
    try await again.abandon()
    // As if it had ended before the old file was removed.
    try Data("older".utf8).write(to: URL(fileURLWithPath: server.files + "/" + path.replaced.name!))
    try await destination.create(path, size: 1).abandon()
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files) == ["a.bin"])
    await destination.close()
  }

  @Test("names that shells, URLs and Windows trip over arrive as they are", arguments: [
    "with space", "it's \"quoted\"", "#1", "100%", "a+b&c=d", "🚢 ferry.bin", "日本語.csv", "Ünïcode", "-rf", "~", "a\\b",
    "semi;colon", "$HOME", "*", "?", "[x]", "dir with space/#1/日本 %20.csv", String(repeating: "é", count: 127),
  ])
  func names(name: String) async throws {
    let server = try SharedServer.get()
    let destination = try server.destination(connections: 1)
    let path = try server.path("names/" + name)
    let file = try await destination.create(path, size: 3)
    try await file.write(ByteBuffer(string: "abc"), at: 0)
    try await file.commit(size: 3, overwrite: true)
    #expect(try contents(server.files + "/names/" + name) == ByteBuffer(string: "abc"))
    #expect(try await destination.stat(path)?.size == 3)
    await destination.close()
  }

  @Test("an empty file arrives")
  func empty() async throws {
    let server = try SharedServer.get()
    let destination = try server.destination(connections: 1)
    let path = try server.path("empty.bin")
    let file = try await destination.create(path, size: 0)
    #expect(try await file.digest(of: 0..<0) == sha256(ByteBuffer()))
    try await file.commit(size: 0, overwrite: true)
    #expect(try await destination.stat(path)?.size == 0)
    await destination.close()
  }

  @Test("bytes beyond 4 GiB land at their offset")
  func large() async throws {
    let server = try SharedServer.get()
    let destination = try server.destination(connections: 1)
    let file = try await destination.create(try server.path("sparse.bin"), size: nil)
    let offset: Int64 = 5 << 30
    try await file.write(bytes(70_000), at: offset)
    #expect(try await file.size() == offset + 70_000)
    #expect(try await file.digest(of: offset..<offset + 70_000) == sha256(bytes(70_000)))
    try await file.abandon()
    await destination.close()
  }

  @Test("a probe takes every step and leaves nothing behind, not even the folders it made")
  func probe() async throws {
    let server = try OpenSSHServer()
    let steps = await SFTPDestination(try server.settings(path: "/not/there")).probe()
    #expect(
      steps.map(\.name) == ["resolve", "connect", "handshake", "host key", "login", "write", "rename", "delete"])
    #expect(steps.allSatisfy { $0.ok }, "\(steps)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files).isEmpty)
  }
}

/// One server for tests that only need any.
enum SharedServer {
  private static let made = Result {
    let server = try OpenSSHServer()
    atexit { SharedServer.end() }
    return server
  }
  private static func end() { if case .success(let server) = made { server.remove() } }
  static func get() throws -> OpenSSHServer { try made.get() }
}
