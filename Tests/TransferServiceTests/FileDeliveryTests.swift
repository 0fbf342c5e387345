// One file from its source to its final name, on a real journal and a server in memory: what is proven is kept, what is
// not is sent again, and a rename is never taken for granted.
import Crypto
import Destinations
import FerryAPI
import FoundationEssentials
import Glibc
import Synchronization
import Testing
import Transport

@testable import TransferService

@Suite struct FileDeliveryTests {
  private static let lost = DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.")

  @Test("a file arrives whole, under its final name alone, with its digest journalled", arguments: [0, 1, 3900])
  func arrives(_ bytes: Int) async throws {
    let bench = try await Bench(bytes: bytes)
    try await bench.succeeds()
    #expect(bench.hasArrived)
    let file = try await bench.file()
    #expect(file.status == .delivered)
    #expect(file.sha256 == bench.sha256)
    #expect(try await bench.chunks().allSatisfy { $0.written && $0.sends == 1 })
  }

  @Test("a lost connection costs the chunks in flight and no more")
  func resumes() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number >= 3 ? Self.lost : nil } }
    await #expect { try await bench.run() } throws: { ($0 as? DeliveryFailure)?.problem.code == "CONNECTION_LOST" }
    #expect(try await bench.chunks().filter(\.written).map(\.index) == [0, 1])
    bench.server.state.withLock { $0.onWrite = nil }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends).prefix(3) == [1, 1, 2])
    #expect(try await bench.chunks().allSatisfy(\.written))
    #expect(bench.server.state.withLock { $0.creates } == 1)
    #expect(bench.hasArrived)
  }

  @Test("within the budget a lost write is tried again in the same run")
  func retries() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 2 ? Self.lost : nil } }
    try await bench.succeeds(budget: 10)
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1])
  }

  @Test("a chunk that comes back changed is sent again, the others are not")
  func corrupted() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.corruptsOnce = Bench.chunkSize }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1, 1])
    #expect(bench.hasArrived)
  }

  @Test("a .part file that was tampered with between two runs is found out")
  func tampered() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 4 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock {
      $0.onWrite = nil
      $0.files["/out/f.part"]?[5] ^= 0x80
    }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 1, 1, 2])
    #expect(bench.hasArrived)
  }

  @Test("a server that never keeps the bytes ends with PROOF_FAILED and no final name")
  func neverProven() async throws {
    let bench = try await Bench(bytes: 1200)
    bench.server.state.withLock { $0.corruptsAlways = true }
    let failed = try await bench.problems()
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["PROOF_FAILED"])
    #expect(bench.server.files["/out/f"] == nil)
  }

  @Test("a .part file that is gone is sent again")
  func partGone() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 3 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { ($0.onWrite, $0.files) = (nil, [:]) }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 2, 2])
    #expect(bench.hasArrived)
  }

  @Test("a file renamed just before a crash is known again by its bytes, and not sent", arguments: [800, 2300])
  func renamedBeforeCrash(_ bytes: Int) async throws {
    let bench = try await Bench(bytes: bytes)
    try await bench.succeeds()
    // As the journal was before the last record: proven, not yet delivered.
    var file = try await bench.file()
    file.status = bytes > Int(Bench.chunkSize) ? .verifying : .transferring
    if file.status == .transferring { file.sha256 = "" }
    file.deliveredAt = nil
    try await bench.set(file)
    try await bench.forgetRun()
    let writes = bench.server.writes.count
    try await bench.succeeds()
    #expect(bench.server.writes.count == writes)
    #expect(try await bench.file().status == .delivered)
    #expect(try await bench.file().sha256 == bench.sha256)
  }

  @Test("a foreign file under the final name is not taken for the delivered one")
  func foreignFile() async throws {
    let bench = try await Bench(bytes: 2300)
    try await bench.succeeds()
    var file = try await bench.file()
    file.status = .verifying
    try await bench.set(file)
    try await bench.forgetRun()
    bench.server.state.withLock { $0.files["/out/f"] = [UInt8](repeating: 1, count: 2300) }
    try await bench.succeeds()
    #expect(bench.hasArrived)
  }

  @Test("a rename whose answer was lost is not done twice")
  func lostRename() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.losesRenameAnswer = true }
    try await bench.succeeds(budget: 10)
    #expect(bench.hasArrived)
    #expect(try await bench.chunks().map(\.sends) == [1, 1, 1])
  }

  @Test("a taken name is refused before a byte is sent")
  func taken() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.files["/out/f"] = [1] }
    let failed = try await bench.problems(onConflict: .fail)
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["TARGET_EXISTS"])
    #expect(bench.server.writes.isEmpty)
    #expect(bench.server.files == ["/out/f": [1]])
  }

  @Test("a source that changes between two chunks ends with SOURCE_CHANGED and no final name")
  func changedSource() async throws {
    let bench = try await Bench(bytes: 3900)
    let path = bench.folder + "/source"
    bench.server.state.withLock { state in
      state.onWrite = { number, _ in
        if number == 2 { try? Data([1, 2, 3]).write(to: URL(filePath: path)) }
        return nil
      }
    }
    let failed = try await bench.problems()
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["SOURCE_CHANGED"])
    #expect(bench.server.files["/out/f"] == nil)
    #expect(bench.server.files["/out/f.part"] == nil)
  }

  @Test("chunks are read back while later ones are still being sent")
  func overlaps() async throws {
    let bench = try await Bench(bytes: 20_000)
    try await bench.succeeds(inFlight: 2)
    let reads = bench.server.state.withLock { $0.reads }
    #expect(reads.map(\.offset) == (0..<20).map { Int64($0) * Bench.chunkSize })
    #expect((reads.first?.afterWrites ?? 20) < 20)
    #expect(bench.hasArrived)
  }

  @Test("a server that takes a file in one stream gets its chunks in order, however they come", arguments: [1, 3, 8])
  func inOrder(inFlight: Int) async throws {
    let bench = try await Bench(bytes: 20_500)
    bench.server.state.withLock { $0.writesAtOffsets = false }
    try await bench.succeeds(inFlight: inFlight)
    #expect(bench.server.writes == (0..<21).map { Int64($0) * Bench.chunkSize })
    #expect(bench.hasArrived)
  }

  @Test("a stream that broke goes on from the bytes that the server kept, which may be fewer than it took", arguments: [1, 3, 8])
  func brokenStream(inFlight: Int) async throws {
    let bench = try await Bench(bytes: 12_000)
    let server = bench.server
    bench.server.state.withLock {
      $0.writesAtOffsets = false
      $0.onWrite = { number, _ in
        guard number == 7 || number == 9 else { return nil }
        // Of the six chunks that it took, the server has four and a half.
        var broken = DestinationError(.failed, "The stream broke.", nextStep: "Go on.")
        broken.goOnAt = number == 7 ? 4500 : 1000
        return broken
      }
      $0.onBreak = { $0.count > 4500 ? Array($0.prefix(4500)) : Array($0.prefix(1000)) }
    }
    try await bench.succeeds(budget: 10, inFlight: inFlight)
    #expect(bench.hasArrived)
    #expect(server.writes.count > 12)
    #expect(try await bench.chunks().allSatisfy(\.written))
  }

  @Test("bytes that the server acknowledged and lost are sent again")
  func lostTail() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 4 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock {
      $0.onWrite = nil
      $0.files["/out/f.part"]?.removeLast(1500)
    }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 2, 2])
    #expect(bench.hasArrived)
  }

  @Test("a small file leaves two records of itself in the journal, no chunks")
  func smallFile() async throws {
    let bench = try await Bench(bytes: 900)
    try await bench.succeeds()
    #expect(try await bench.chunks() == [])
    #expect(bench.hasArrived)
  }

  @Test("a small file that has its name already, after a crash before its record, is known by its bytes whatever the policy")
  func smallFileAfterCrash() async throws {
    for policy in [OnConflict.overwrite, .fail] {
      let bench = try await Bench(bytes: 900)
      try await bench.succeeds()
      var file = try await bench.file()
      (file.status, file.sha256, file.deliveredAt) = (.transferring, "", nil)
      try await bench.set(file)
      try await bench.forgetRun()
      let writes = bench.server.writes.count
      let problems = try await bench.problems(onConflict: policy)
      #expect(problems == [])
      #expect(bench.server.writes.count == writes)
      #expect(try await bench.file().sha256 == bench.sha256)
    }
  }

  @Test("another's file under the name of a small one that was begun is not taken for it")
  func smallFileForeign() async throws {
    let bench = try await Bench(bytes: 900)
    var file = try await bench.file()
    file.status = .transferring
    try await bench.set(file)
    bench.server.state.withLock { $0.files["/out/f"] = [UInt8](repeating: 1, count: 900) }
    let problems = try await bench.problems(onConflict: .fail)
    #expect(problems.map { $0.prefix { $0 != ":" } } == ["TARGET_EXISTS"])
    #expect(bench.server.files["/out/f"] == [UInt8](repeating: 1, count: 900))
  }
}

@Suite struct SourceDeliveryTests {
  @Test("a byte changed on the way is found and read again", arguments: [(900, true), (900, false), (3500, true), (3500, false)])
  func flipped(_ bytes: Int, _ forGood: Bool) async throws {
    let bench = try await Bench(bytes: bytes)
    let content = bench.content
    let reads = Mutex(0)
    let crc = SourceCRC.crc64NVME
    let value = Data(crc.bytes(content.withUnsafeBytes { crc.checksum($0) })).base64EncodedString()
    let server = RangeServer { request in
      let numbers = (request.header("range") ?? "").dropFirst(6).split(separator: "-").compactMap { Int($0) }
      let range = numbers.count == 2 ? numbers[0]..<numbers[1] + 1 : 0..<bytes
      var body = Array(content[range])
      let n = reads.withLock { $0 += 1; return $0 }
      if forGood || n == 1 { body[5] ^= 1 }
      return .init(
        status: numbers.count == 2 ? "206 Partial" : "200 OK",
        headers: ["ETag: \"v\""] + (numbers.count == 2 ? ["Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(bytes)"] : ["x-amz-checksum-crc64nvme: \(value)"]), body: body)
    }
    defer { server.stop() }
    bench.remote.withLock { $0 = ReadGrant.with {
      ($0.url, $0.etag, $0.size) = ("http://127.0.0.1:\(server.port)/b/o", "\"v\"", Int64(bytes))
      $0.expiresAt = Timestamp.with { $0.seconds = 4_000_000_000 }
      if bytes > 1000 { $0.checksums = [Checksum.with { ($0.algorithm, $0.value) = ("CRC64NVME", value) }] }
    } }
    let problems = try await bench.problems(budget: 1)
    print(bytes, forGood, problems, reads.withLock { $0 }, bench.server.files.keys.sorted())
    #expect(problems.isEmpty == !forGood)
    #expect(bench.hasArrived == !forGood)
    if forGood { #expect(problems.first?.hasPrefix("SOURCE_CORRUPT") == true) }
  }

  @Test("a source that gives a chunk otherwise when it is asked again: the digest is that of what arrived")
  func unsteadySource() async throws {
    let bench = try await Bench(bytes: 3900)
    let content = bench.content
    let reads = Mutex(0)
    let server = RangeServer { request in
      let numbers = (request.header("range") ?? "").dropFirst(6).split(separator: "-").compactMap { Int($0) }
      var body = Array(content[numbers[0]..<numbers[1] + 1])
      if numbers[0] == Int(Bench.chunkSize), reads.withLock({ $0 += 1; return $0 }) == 1 { body[5] ^= 1 }
      return .init(
        status: "206 Partial", headers: ["ETag: \"v\"", "Content-Range: bytes \(numbers[0])-\(numbers[1])/3900"], body: body)
    }
    defer { server.stop() }
    bench.remote.withLock { $0 = ReadGrant.with {
      ($0.url, $0.etag, $0.size) = ("http://127.0.0.1:\(server.port)/b/o", "\"v\"", 3900)
      $0.expiresAt = Timestamp.with { $0.seconds = 4_000_000_000 }
    } }
    bench.server.state.withLock {
      $0.onWrite = { number, _ in
        number == 2 ? DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.") : nil
      }
    }
    #expect(try await bench.problems(budget: 10) == [])
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1, 1])
    #expect(bench.hasArrived)
    #expect(try await bench.file().sha256 == bench.sha256)
    #expect(bench.server.state.withLock { $0.reads.count } == 8)
  }

  @Test("asked to skip what is equal, equal bytes are left alone and others replaced", arguments: [0, 900, 3900])
  func skipsEqual(_ bytes: Int) async throws {
    let bench = try await Bench(bytes: bytes)
    bench.server.state.withLock { $0.files["/out/f"] = bench.content }
    #expect(try await bench.problems(onConflict: .skipIfEqual) == [])
    #expect(bench.server.writes.isEmpty)
    #expect(bench.hasArrived)
    #expect(try await bench.file().status == .delivered)
    #expect(try await bench.file().sha256 == bench.sha256)

    let other = try await Bench(bytes: bytes)
    other.server.state.withLock { $0.files["/out/f"] = [UInt8](repeating: 1, count: max(bytes, 1)) }
    #expect(try await other.problems(onConflict: .skipIfEqual) == [])
    #expect(other.hasArrived)
  }

  @Test("a server that hashes is asked once for the whole file, and nothing is read back", arguments: [1, 3, 8])
  func hashedByServer(inFlight: Int) async throws {
    let bench = try await Bench(bytes: 12_300)
    bench.server.state.withLock { $0.hashes = [.sha256, .sha1] }
    try await bench.succeeds(inFlight: inFlight)
    #expect(bench.server.state.withLock { $0.reads.map(\.offset) == [0] && $0.madeCodes == 0 })
    #expect(bench.hasArrived)
    #expect(try await bench.file().sha256 == bench.sha256)
    #expect(try await bench.file().serverChecksum == "")
  }

  @Test(
    "a server that makes a code of whole files is asked for one and for nothing else",
    arguments: [
      ([.gmac, .sha256, .sha1], 12_300), ([.sha1, .md5], 12_300), ([.md5, .crc32], 12_300), ([.crc32], 12_300),
      ([.sha1], 900), ([.md5], 0),
    ] as [([RemoteHash], Int)], [1, 3, 8])
  func codeByServer(_ offered: (hashes: [RemoteHash], bytes: Int), inFlight: Int) async throws {
    let hashes = offered.hashes
    let bench = try await Bench(bytes: offered.bytes, .with { $0.proof = hashes == [.crc32] ? .checksum : .sha256 })
    bench.server.state.withLock { $0.hashes = hashes }
    try await bench.succeeds(inFlight: inFlight)
    if offered.bytes > 0 { #expect(bench.server.state.withLock { $0.reads.isEmpty && $0.madeCodes == 1 }) }
    #expect(bench.hasArrived)
    let file = try await bench.file()
    #expect(file.sha256 == bench.sha256)
    let names = [RemoteHash.sha1: "sha1", .md5: "md5", .crc32: "crc32"]
    #expect(file.serverChecksum.split(separator: ":").first.map(String.init) == (offered.bytes > 0 ? names[hashes[0]] : nil))
  }

  @Test("a CRC-32 of the server's is enough only for whom it is, and no code for whom the size is", arguments: [Proof.sha256, .size])
  func codeNotAskedFor(proof: Proof) async throws {
    let bench = try await Bench(bytes: 3900, .with { $0.proof = proof })
    let offered: [RemoteHash] = proof == .size ? [.sha1] : [.crc32]
    bench.server.state.withLock { $0.hashes = offered }
    try await bench.succeeds(inFlight: 3)
    #expect(bench.server.state.withLock { $0.madeCodes == 0 && $0.reads.isEmpty == (proof == .size) })
    #expect(bench.hasArrived)
    #expect(try await bench.file().serverChecksum == "")
  }

  @Test(
    "a code that is not that of what was sent is not believed, nor one of changed bytes",
    arguments: [[.gmac, .sha256], [.sha1], [.md5]] as [[RemoteHash]], [true, false])
  func codeByServerWrong(hashes: [RemoteHash], isLie: Bool) async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock {
      $0.hashes = hashes
      if isLie { $0.wrongCode = Array(repeating: 0, count: 16) } else { $0.corruptsOnce = Bench.chunkSize }
    }
    try await bench.succeeds(inFlight: 3)
    #expect(bench.server.state.withLock { $0.madeCodes } == 1)
    #expect(try await bench.chunks().map(\.sends) == (isLie ? [1, 1, 1, 1] : [1, 2, 1, 1]))
    #expect(bench.hasArrived)
    #expect(try await bench.file().sha256 == bench.sha256)
    #expect(try await bench.file().serverChecksum == "")
  }

  @Test("of a resumed file a server without SHA-256 is asked nothing: it is read back, once", arguments: [false, true])
  func codeByServerResumed(isDamaged: Bool) async throws {
    let bench = try await resumed(hashes: [.sha1], isDamaged)
    #expect(bench.server.state.withLock { $0.madeCodes } == 0)
    if !isDamaged { #expect(bench.server.state.withLock { $0.reads.map(\.offset) } == [0, 1000, 2000, 3000]) }
    #expect(bench.hasArrived)
    #expect(try await bench.file().sha256 == bench.sha256)
  }

  @Test("a digest by the server that is not the source's is looked into chunk by chunk")
  func hashedByServerWrong() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { ($0.hashes, $0.corruptsOnce) = ([.sha256], Bench.chunkSize) }
    try await bench.succeeds(inFlight: 3)
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1, 1])
    #expect(bench.hasArrived)
  }

  @Test("of a resumed file the server hashes what the earlier run wrote, the rest, and all", arguments: [false, true])
  func hashedByServerResumed(isDamaged: Bool) async throws {
    let bench = try await resumed(hashes: [.sha256], isDamaged)
    if !isDamaged { #expect(bench.server.state.withLock { $0.reads.map(\.offset) } == [0, 3000, 0]) }
    #expect(bench.hasArrived)
    #expect(try await bench.file().sha256 == bench.sha256)
  }

  /// A file of four chunks whose last one did not arrive in a first run, to its end in a second.
  private func resumed(hashes: [RemoteHash], _ isDamaged: Bool) async throws -> Bench {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock {
      $0.hashes = hashes
      $0.onWrite = { number, _ in
        number == 4 ? DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.") : nil
      }
    }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock {
      $0.onWrite = nil
      if isDamaged { $0.files["/out/f.part"]?[1500] ^= 1 }
    }
    let before = try await bench.chunks().map(\.sends)
    try await bench.succeeds()
    let sends = zip(try await bench.chunks().map(\.sends), before).map { $0 - $1 }
    #expect(sends == [0, isDamaged ? 1 : 0, 0, 1])
    return bench
  }
}
