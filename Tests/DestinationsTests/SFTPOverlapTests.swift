// Reading back beside the upload: nothing is read too early, one connection is enough, and what a server does slowly,
// in small pieces or in old ways is the same in the end.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Destinations
@testable import Transport

/// Says which chunks are written, and lets others wait for it.
private actor Written {
  private var done: Set<Int64> = []
  private var waiters: [Int64: CheckedContinuation<Void, Never>] = [:]

  func mark(_ start: Int64) {
    done.insert(start)
    waiters.removeValue(forKey: start)?.resume()
  }

  func wait(for start: Int64) async {
    if done.contains(start) { return }
    await withCheckedContinuation { waiters[start] = $0 }
  }
}

@Suite("Proof beside the upload", .enabled(if: OpenSSHServer.isInstalled)) struct SFTPOverlapTests {
  private func overlap(_ server: OpenSSHServer, connections: Int, size: Int, chunk: Int) async throws {
    let destination = try server.destination(connections: connections)
    let content = bytes(size)
    let path = try server.path("a.bin")
    let file = try await destination.create(path, size: Int64(size))
    let written = Written()
    let reported = Mutex<[RemoteChunk]>([])
    async let proof = file.readBack(
      0..<Int64(size), chunkSize: chunk, hashesWhole: true,
      whenWritten: { (range) async throws(DestinationError) in
        await written.wait(for: range.lowerBound)
        return .sha256
      },
      onChunk: { (chunk) async throws(DestinationError) in reported.withLock { $0.append(chunk) } })
    // Backwards, so that the proof has to wait for all of it.
    for start in stride(from: 0, to: size, by: chunk).reversed() {
      try await file.write(content.getSlice(at: start, length: min(chunk, size - start))!, at: Int64(start))
      await written.mark(Int64(start))
    }
    #expect(try await proof == sha256(content))
    let chunks = reported.withLock { $0 }
    #expect(chunks.map(\.range.lowerBound) == stride(from: 0, to: Int64(size), by: chunk).map { $0 })
    for chunk in chunks {
      let slice = content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!
      #expect(chunk.code == sha256(slice).bytes)
    }
    try await file.commit(size: Int64(size), overwrite: false)
    #expect(try contents(server.files + "/a.bin") == content)
    await destination.close()
  }

  @Test("one connection is enough to write while the proof waits", .timeLimit(.minutes(1)))
  func oneConnection() async throws {
    try await overlap(try OpenSSHServer(), connections: 1, size: 9_000_001, chunk: 2 << 20)
  }

  @Test("four connections do the same", .timeLimit(.minutes(1)))
  func fourConnections() async throws {
    try await overlap(try OpenSSHServer(), connections: 4, size: 40_000_001, chunk: 8 << 20)
  }

  @Test("a server without OpenSSH's extensions, and with each kind of cipher, takes the same", arguments: [
    ["Subsystem sftp internal-sftp -P posix-rename,statvfs,fsync,limits"],
    ["Ciphers aes256-ctr", "MACs hmac-sha2-512"], ["Ciphers aes192-ctr", "MACs hmac-sha1"],
    ["Ciphers aes128-cbc"], ["RekeyLimit 1M"],
    ["KexAlgorithms ecdh-sha2-nistp256"], ["KexAlgorithms diffie-hellman-group14-sha256"],
  ])
  func plainServer(settings: [String]) async throws {
    try await overlap(try OpenSSHServer(settings: settings), connections: 2, size: 9_000_001, chunk: 2 << 20)
  }

  @Test("a chunk that can't be written ends the proof")
  func failedWrite() async throws {
    let server = try SharedServer.get()
    let destination = try server.destination(connections: 2)
    let file = try await destination.create(try server.path("failed.bin"), size: nil)
    try await file.write(bytes(2 << 20), at: 0)
    let error = await #expect(throws: DestinationError.self) {
      try await file.readBack(
        0..<4 << 20, chunkSize: 2 << 20, hashesWhole: true,
        whenWritten: { (range) async throws(DestinationError) in
          if range.lowerBound > 0 { throw DestinationError(.noSpace, "It is full.", nextStep: "Free some.") }
          return .sha256
        }, onChunk: { (_) async throws(DestinationError) in })
    }
    #expect(error?.kind == .noSpace)
    try await file.abandon()
    await destination.close()
  }

  @Test("two hundred small files at once arrive proven, with their folders")
  func manySmall() async throws {
    let server = try OpenSSHServer()
    let destination = try server.destination()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        group.addTask {
          let content = bytes(20_000 + index, seed: UInt64(index) + 1)
          let size = Int64(content.readableBytes)
          let file = try await destination.create(try server.path("in/\(index % 7)/\(index).bin"), size: size)
          try await file.write(content, at: 0)
          #expect(try await file.digest(of: 0..<size) == sha256(content))
          try await file.commit(size: size, overwrite: index % 2 == 0)
          #expect(try contents(server.files + "/in/\(index % 7)/\(index).bin") == content)
        }
      }
      try await group.waitForAll()
    }
    await destination.close()
  }
}
