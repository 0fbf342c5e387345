// A file's way to a real vsftpd in its three modes: one stream, proof by read-back, repair, resumption, the rename.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Destinations
@testable import Transport

/// How far the writes are, for a reader beside them.
private actor Written {
  private var end: Int64 = 0
  private var waiting: [(end: Int64, turn: CheckedContinuation<Void, Never>)] = []

  func reach(_ end: Int64) {
    self.end = end
    for waiter in waiting where waiter.end <= end { waiter.turn.resume() }
    waiting.removeAll { $0.end <= end }
  }

  func wait(for end: Int64) async {
    if self.end >= end { return }
    await withCheckedContinuation { waiting.append((end, $0)) }
  }
}

private final class Chunks: Sendable {
  let all = Mutex<[RemoteChunk]>([])
}

extension RemoteFile {
  /// In order, as a server with one stream needs it.
  fileprivate func writeInOrder(
    _ content: ByteBuffer, chunk: Int, from start: Int = 0, _ written: Written? = nil
  ) async throws {
    do {
      for offset in stride(from: start, to: content.readableBytes, by: chunk) {
        let length = min(chunk, content.readableBytes - offset)
        try await write(content.getSlice(at: offset, length: length)!, at: Int64(offset))
        await written?.reach(Int64(offset + length))
      }
    } catch {
      await written?.reach(.max)  // or the reader would wait for good
      Issue.record(error)
      throw error
    }
  }

  fileprivate func readBeside(
    _ written: Written, _ range: Range<Int64>, chunk: Int, _ chunks: Chunks
  ) async throws -> ContentDigest? {
    try await readBack(
      range, chunkSize: chunk, hashesWhole: true,
      whenWritten: { (range) async throws(DestinationError) in
        await written.wait(for: range.upperBound)
        return .sha256
      },
      onChunk: { (chunk) async throws(DestinationError) in chunks.all.withLock { $0.append(chunk) } })
  }
}

@Suite("FTP deliveries", .enabled(if: VsftpdServer.isInstalled)) struct FTPDeliveryTests {
  @Test(
    "20 MB arrive equal, read back beside the upload, in passive and active mode",
    arguments: [(.ftp, false), (.ftp, true), (.ftpes, false), (.ftps, false)] as [(VsftpdServer.Mode, Bool)])
  func beside(mode: VsftpdServer.Mode, active: Bool) async throws {
    let server = try VsftpdServer(mode, settings: ["lock_upload_files=NO"])
    let destination = try server.destination(active: active)
    #expect(try await destination.capabilities().writesAtOffsets == false)
    let content = bytes(20_000_003)
    let path = try server.path("deep/er/report.bin")
    let file = try await destination.create(path, size: 20_000_003)
    let written = Written()
    let chunks = Chunks()
    async let sent: Void = file.writeInOrder(content, chunk: 4 << 20, written)
    let whole = try await file.readBeside(written, 0..<20_000_003, chunk: 4 << 20, chunks)
    try await sent
    #expect(whole == sha256(content))
    let seen = chunks.all.withLock { $0 }
    #expect(seen.map(\.range.lowerBound) == [0, 4 << 20, 8 << 20, 12 << 20, 16 << 20])
    for chunk in seen {
      #expect(chunk.code == sha256(content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!).bytes)
    }
    #expect(try await destination.stat(path) == nil)
    try await file.commit(size: 20_000_003, overwrite: false)
    #expect(try server.content("deep/er/report.bin") == content)
    #expect(try await destination.digest(of: path) == sha256(content))
    #expect(try FileManager.default.contentsOfDirectory(atPath: server.files + "/deep/er") == ["report.bin"])
    await destination.close()
  }

  @Test("a server that locks a file while it is written is read back all the same, over one connection too", arguments: [1, 4])
  func locks(connections: Int) async throws {
    let server = try VsftpdServer(settings: ["lock_upload_files=YES"])
    let destination = try server.destination(connections: connections)
    let content = bytes(6_000_000)
    for name in ["a", "b"] {
      let file = try await destination.create(try server.path(name), size: nil)
      let written = Written()
      let chunks = Chunks()
      async let sent: Void = file.writeInOrder(content, chunk: 1 << 20, written)
      #expect(try await file.readBeside(written, 0..<6_000_000, chunk: 1 << 20, chunks) == sha256(content))
      try await sent
      try await file.commit(size: 6_000_000, overwrite: false)
      #expect(try server.content(name) == content)
    }
    await destination.close()
  }

  @Test("what a server was found to lock is known to the next delivery: its upload is never ended for the reader")
  func lockIsRemembered() async throws {
    let log = NSTemporaryDirectory() + "ferry-vsftpd-" + UUID().uuidString + ".log"
    defer { try? FileManager.default.removeItem(atPath: log) }
    let server = try VsftpdServer(
      settings: ["lock_upload_files=YES", "log_ftp_protocol=YES", "xferlog_enable=YES", "vsftpd_log_file=\(log)"])
    let settings = try server.settings()
    let content = bytes(48 << 20)
    for name in ["first", "second"] {
      let destination = FTPDestination(settings)
      let file = try await destination.create(try server.path(name), size: nil)
      let written = Written()
      async let sent: Void = file.writeInOrder(content, chunk: 1 << 20, written)
      let whole = try await file.readBeside(written, 0..<48 << 20, chunk: 1 << 20, Chunks())
      try await sent
      #expect(whole == sha256(content))
      await destination.close()
    }
    #expect(settings.lockingServers.contains(settings.address.endpoint))
    let uploads = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter {
      $0.contains("\"STOR /in/second.part\"")
    }
    #expect(uploads.count == 1)
  }

  @Test("a connection is made ahead only where none is idle and one more is allowed")
  func prepared() async throws {
    let server = try VsftpdServer()
    let pool = FTPPool(try server.settings(connections: 2))
    await pool.prepare()
    await pool.prepare()
    let first = try await pool.lease()
    #expect(first.reused)
    #expect(await pool.hasRoom)
    let second = try await pool.lease()
    #expect(!second.reused)
    await pool.prepare()
    #expect(await !pool.hasRoom)
    await pool.giveBack(first.connection)
    #expect(try await pool.lease().reused)
    await pool.close()
  }

  /// Which chunks were read back, in which order.
  private actor Order {
    private(set) var indices: [Int] = []
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let half: Int

    init(half: Int) { self.half = half }

    func add(_ index: Int) {
      indices.append(index)
      guard index >= half else { return }
      for turn in waiting { turn.resume() }
      waiting = []
    }

    /// Returns once a chunk of the later half was read.
    func untilLaterHalf() async {
      if indices.contains(where: { $0 >= half }) { return }
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  @Test(
    "where uploads are locked a large file is read back from two places, in order over the only connection",
    .timeLimit(.minutes(2)), arguments: [(.ftp, 1), (.ftp, 4), (.ftpes, 4)] as [(VsftpdServer.Mode, Int)])
  func twoPlaces(mode: VsftpdServer.Mode, connections: Int) async throws {
    let server = try VsftpdServer(mode, settings: ["lock_upload_files=YES"])
    let destination = try server.destination(connections: connections)
    let (size, chunk) = (80 << 20, 8 << 20)
    let content = bytes(size)
    // The lock is found out with the first file that is read back beside its upload.
    let first = try await destination.create(try server.path("first.bin"), size: nil)
    try await first.writeInOrder(bytes(1000), chunk: 1000)
    _ = try await first.digest(of: 0..<1000)
    try await first.abandon()
    let file = try await destination.create(try server.path("large.bin"), size: Int64(size))
    try await file.writeInOrder(content, chunk: chunk)
    let key = [UInt8](repeating: 7, count: GMACParameters.keyLength)
    let chunks = Chunks()
    let order = Order(half: size / chunk / 2)
    let whole = try await file.readBack(
      0..<Int64(size), chunkSize: chunk, hashesWhole: false,
      whenWritten: { (range) async throws(DestinationError) in
        .gmac(GMACParameters(key: key, message: (1, UInt64(range.lowerBound))))
      },
      onChunk: { (chunk) async throws(DestinationError) in
        chunks.all.withLock { $0.append(chunk) }
        await order.add(chunk.index)
        // The first reader is held up, so that only a second one can come to the later half.
        if connections > 1, chunk.index == 1 { await order.untilLaterHalf() }
      })
    #expect(whole == nil)
    let seen = chunks.all.withLock { $0 }
    let isInOrder = await order.indices == Array(0..<size / chunk)
    #expect(isInOrder == (connections == 1))
    #expect(seen.map(\.index).sorted() == Array(0..<size / chunk))
    for part in seen {
      #expect(part.range == Int64(part.index * chunk)..<Int64((part.index + 1) * chunk))
      let expected = content.getSlice(at: Int(part.range.lowerBound), length: chunk)!.withUnsafeReadableBytes {
        GMAC.code(of: $0, GMACParameters(key: key, message: (1, UInt64(part.range.lowerBound))))
      }
      #expect(part.code == expected)
    }
    try await file.commit(size: Int64(size), overwrite: false)
    #expect(try server.content("large.bin") == content)
    await destination.close()
  }

  @Test("files that begin at once in a folder that is not there all find it made")
  func foldersAtOnce() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination()
    for round in 0..<10 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<4 {
          let path = try server.path("new-\(round)/deeper/\(index)")
          group.addTask {
            let file = try await destination.create(path, size: 3)
            try await file.write(ByteBuffer(string: "abc"), at: 0)
            try await file.commit(size: 3, overwrite: false)
          }
        }
        try await group.waitForAll()
      }
    }
    await destination.close()
  }

  @Test("times are set where the server takes them, and what it refuses is told after the rest is done")
  func attributes() async throws {
    let server = try VsftpdServer(settings: ["anon_other_write_enable=YES"])
    let destination = try server.destination()
    let file = try await destination.create(try server.path("report.bin"), size: 1000)
    try await file.writeInOrder(bytes(1000), chunk: 1000)
    // An anonymous login may set times, and no permissions.
    do throws(DestinationError) {
      try await file.set(FileAttributes(mode: 0o640, modified: 1_700_000_000))
      Issue.record("permissions were set")
    } catch {
      #expect(error.kind == .unsupported && error.message.contains("sets no permissions of files"), "\(error)")
    }
    try await file.set(FileAttributes(modified: 1_700_000_001))
    try await file.commit(size: 1000, overwrite: false)
    let found = try FileManager.default.attributesOfItem(atPath: server.files + "/report.bin")
    #expect((found[.modificationDate] as? Date)?.timeIntervalSince1970 == 1_700_000_001)
    await destination.close()
  }

  @Test("TLS sessions are reused for file after file", arguments: [VsftpdServer.Mode.ftpes, .ftps])
  func sessions(mode: VsftpdServer.Mode) async throws {
    let server = try VsftpdServer(mode)
    let destination = try server.destination()
    for index in 0..<20 {
      let file = try await destination.create(try server.path("\(index)"), size: 1000)
      try await file.write(bytes(1000, seed: UInt64(index)), at: 0)
      #expect(try await file.digest(of: 0..<1000) == sha256(bytes(1000, seed: UInt64(index))))
      try await file.commit(size: 1000, overwrite: true)
    }
    #expect(try server.names.count == 20)
    await destination.close()
  }

  @Test("a server with TLS 1.3 alone that insists on sessions gets file after file as well")
  func onlyTLS13() async throws {
    // None that TLS 1.2 could use with the key that the server has.
    let server = try VsftpdServer(.ftpes, settings: ["ssl_ciphers=ECDHE-RSA-AES256-GCM-SHA384"])
    let destination = try server.destination()
    for index in 0..<4 {
      let file = try await destination.create(try server.path("\(index)"), size: 1000)
      try await file.write(bytes(1000), at: 0)
      try await file.commit(size: 1000, overwrite: true)
      #expect(try server.content("\(index)") == bytes(1000))
    }
    await destination.close()
  }

  @Test("a chunk in the middle can be repaired, and the first can't without the rest being sent again")
  func repair() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination()
    let content = bytes(5 << 20)
    var spoiled = content
    spoiled.setInteger(UInt64(0), at: (2 << 20) + 5)
    let file = try await destination.create(try server.path("a"), size: nil)
    try await file.writeInOrder(spoiled, chunk: 1 << 20)
    #expect(try await file.digest(of: 0..<5 << 20) == sha256(spoiled))
    try await file.write(content.getSlice(at: 2 << 20, length: 1 << 20)!, at: 2 << 20)
    #expect(try await file.digest(of: 0..<5 << 20) == sha256(content))
    let cut = await #expect(throws: DestinationError.self) {
      try await file.write(content.getSlice(at: 0, length: 1 << 20)!, at: 0)
    }
    #expect(cut?.goOnAt == 1 << 20)
    try await file.writeInOrder(content, chunk: 1 << 20, from: 1 << 20)
    try await file.commit(size: 5 << 20, overwrite: false)
    #expect(try server.content("a") == content)
    await destination.close()
  }

  @Test("a reopened file goes on where the caller says, over bytes that were there")
  func resume() async throws {
    let server = try VsftpdServer()
    let content = bytes(3 << 20)
    let first = try server.destination()
    let begun = try await first.create(try server.path("a"), size: nil)
    try await begun.write(content.getSlice(at: 0, length: 1 << 20)!, at: 0)
    try await begun.write(ByteBuffer(repeating: 0, count: 300_000), at: 1 << 20)
    await begun.close()
    await first.close()

    let second = try server.destination()
    let file = try await second.reopen(try server.path("a"))
    #expect(try await file.size() == (1 << 20) + 300_000)
    let hole = await #expect(throws: DestinationError.self) { try await file.write(bytes(1), at: 2 << 20) }
    #expect(hole?.goOnAt == 1_348_576)
    try await file.writeInOrder(content, chunk: 1 << 20, from: 1 << 20)
    #expect(try await file.digest(of: 0..<3 << 20) == sha256(content))
    try await file.commit(size: 3 << 20, overwrite: true)
    #expect(try server.content("a") == content)
    await second.close()
  }

  @Test("an existing file is replaced or not, as asked; one that is gone or of another size is told")
  func overwrite() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination()
    let path = try server.path("a")
    #expect(await #expect(throws: DestinationError.self) { try await destination.reopen(path) }?.kind == .missing)
    try Data("old".utf8).write(to: URL(fileURLWithPath: server.files + "/a"))
    let file = try await destination.create(path, size: 5)
    try await file.write(bytes(5), at: 0)
    let refused = await #expect(throws: DestinationError.self) { try await file.commit(size: 5, overwrite: false) }
    #expect(refused?.kind == .conflict)
    await #expect(throws: DestinationError.self) { try await file.commit(size: 6, overwrite: true) }
    #expect(try server.content("a") == ByteBuffer(string: "old"))
    try await file.commit(size: 5, overwrite: true)
    #expect(try server.content("a") == bytes(5))
    try await destination.create(path, size: 1).abandon()
    try await destination.removePart(of: path)
    #expect(try server.names == ["a"])
    await destination.close()
  }

  @Test("more files at once than connections don't hold each other up")
  func crowd() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination(connections: 2)
    var files: [any RemoteFile] = []
    for index in 0..<6 { files.append(try await destination.create(try server.path("\(index)"), size: nil)) }
    for round in 0..<3 {
      for file in files { try await file.write(bytes(100_000, seed: UInt64(round)), at: Int64(round) * 100_000) }
    }
    for file in files { try await file.commit(size: 300_000, overwrite: false) }
    #expect(try server.names == ["0", "1", "2", "3", "4", "5"])
    await destination.close()
  }

  @Test("names that shells, URLs and commands trip over arrive as they are", arguments: [
    "with space", "it's \"quoted\"", "#1", "100%", "a+b&c=d", "🚢 ferry.bin", "日本語.csv", "-rf", "a\\b", "semi;type=a",
    "dir with space/#1/日本 %20.csv", String(repeating: "é", count: 127),
  ])
  func names(name: String) async throws {
    let server = try VsftpdServer()
    let destination = try server.destination(connections: 1)
    let path = try server.path(name)
    let file = try await destination.create(path, size: 3)
    try await file.write(ByteBuffer(string: "abc"), at: 0)
    try await file.commit(size: 3, overwrite: true)
    #expect(try server.content(name) == ByteBuffer(string: "abc"))
    #expect(try await destination.stat(path)?.size == 3)
    #expect(try await destination.stat(path.parent)?.isDirectory == true)
    await destination.close()
  }

  @Test("an empty file arrives")
  func empty() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination(connections: 1)
    let file = try await destination.create(try server.path("empty"), size: 0)
    #expect(try await file.digest(of: 0..<0) == sha256(ByteBuffer()))
    try await file.commit(size: 0, overwrite: true)
    #expect(try server.content("empty").readableBytes == 0)
    await destination.close()
  }
}
