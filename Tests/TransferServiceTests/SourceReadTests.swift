// Reads whose bytes are not what the storage says they are, over real sockets: a whole object at once, and in pieces.
import FerryAPI
import Synchronization
import Testing
import Transport

@testable import TransferService

@Suite struct SourceReadTests {
  private static let content = SourceStatementTests.content
  private static let etag = "\"v1\""
  private static let sha256 = "a8af099bf2e878609558dbf69d8f88f4a31040a8cf84b549a0cfa912f12ffc3f"

  private static var changed: [UInt8] {
    var bytes = content
    bytes[999] ^= 1
    return bytes
  }

  private func grant(_ server: RangeServer, etag: String = etag, checksums: [String] = []) -> ReadGrant {
    ReadGrant.with {
      ($0.url, $0.etag, $0.size) = ("http://127.0.0.1:\(server.port)/b/o", etag, 1000)
      $0.headers = [HeaderField.with { ($0.name, $0.value) = ("x-amz-checksum-mode", "ENABLED") }]
      $0.expiresAt = Timestamp.with { $0.seconds = 4_000_000_000 }
      $0.checksums = checksums.map { name in
        Checksum.with { ($0.algorithm, $0.value) = (name, SourceStatementTests.values[name] ?? "") }
      }
    }
  }

  private func reader(_ grant: ReadGrant) -> RangeReader {
    RangeReader(
      subject: "b/o", size: 1000, etag: grant.etag, http: HTTPClient(), threads: WorkThreads(),
      buffers: BufferPool(most: 1), now: { 0 }
    ) { () async throws(DeliveryFailure) in grant }
  }

  private func failure(_ work: () async throws(DeliveryFailure) -> Void) async -> DeliveryFailure? {
    do throws(DeliveryFailure) {
      try await work()
      return nil
    } catch { return error }
  }

  private static func range(_ request: RangeServer.Request) -> Range<Int>? {
    let numbers = (request.header("range") ?? "").dropFirst(6).split(separator: "-").compactMap { Int($0) }
    return numbers.count == 2 ? numbers[0]..<numbers[1] + 1 : nil
  }

  @Test("a whole object is asked for without a range, with the right's headers, and its checksum holds")
  func whole() async throws {
    let server = RangeServer { _ in
      .init(status: "200 OK", headers: ["ETag: \(Self.etag)", "x-amz-checksum-crc64nvme: YK+tF3gdycc="], body: Self.content)
    }
    defer { server.stop() }
    let bytes = try await reader(grant(server)).read(0..<1000)
    #expect(Array(bytes.readableBytesView) == Self.content)
    #expect(server.requests.first?.header("range") == nil)
    #expect(server.requests.first?.header("x-amz-checksum-mode") == "ENABLED")
    #expect(server.requests.first?.header("if-match") == Self.etag)
  }

  @Test(
    "a changed byte of a whole object is found by whatever is stated of it, and worth another try",
    arguments: [
      ("x-amz-checksum-crc64nvme: YK+tF3gdycc=", "CRC64NVME"), ("x-amz-checksum-crc32c: GjGOMA==", "CRC32C"),
      ("x-amz-checksum-crc32: dOP7QQ==", "CRC32"), ("x-amz-checksum-sha1: rwsZHC3kb+E/4JCPWmpOkODK/EY=", "SHA-1"),
      ("x-amz-checksum-sha256: qK8Jm/LoeGCVWNv2nY+I9KMQQKjPhLVJoM+pEvEv/D8=", "SHA-256"),
      ("Content-MD5: y+y9sP3VzsHiQkk7YAjMeQ==", "MD5"),
    ])
  func changedByte(_ header: String, _ name: String) async {
    let server = RangeServer { _ in
      .init(status: "200 OK", headers: ["ETag: \(Self.etag)", header], body: Self.changed)
    }
    defer { server.stop() }
    let reader = reader(grant(server))
    let failure = await failure { () async throws(DeliveryFailure) in _ = try await reader.read(0..<1000) }
    #expect(failure?.problem.code == "SOURCE_CORRUPT")
    #expect(failure?.problem.message.contains(name) == true)
    #expect(failure?.retryable == true)
    #expect(failure?.scope == .file)
  }

  @Test("an ETag that is an MD5 is a checksum too, and the next try reads anew")
  func md5() async throws {
    let etag = SourceStatementTests.md5ETag
    let served = Served()
    let server = RangeServer { _ in
      .init(status: "200 OK", headers: ["ETag: \(etag)"], body: served.isFirst() ? Self.changed : Self.content)
    }
    defer { server.stop() }
    let reader = reader(grant(server, etag: etag))
    let failure = await failure { () async throws(DeliveryFailure) in _ = try await reader.read(0..<1000) }
    #expect(failure?.problem.code == "SOURCE_CORRUPT")
    #expect(Array(try await reader.read(0..<1000).readableBytesView) == Self.content)
  }

  @Test("an object of which nothing is stated is read as it is")
  func unstated() async throws {
    let server = RangeServer { _ in .init(status: "200 OK", headers: ["ETag: \(Self.etag)"], body: Self.changed) }
    defer { server.stop() }
    #expect(try await reader(grant(server)).read(0..<1000).readableBytes == 1000)
  }

  @Test(
    "an object read in pieces is checked when all were read, in whatever order",
    arguments: ["CRC64NVME", "CRC32C", "CRC32", "SHA256"])
  func pieces(_ algorithm: String) async throws {
    let spoilt = Served()
    let server = RangeServer { request in
      guard let range = Self.range(request) else { return .init(status: "500 No Range") }
      // The piece at the end comes changed the first time.
      let bytes = range.upperBound == 1000 && spoilt.isFirst() ? Self.changed : Self.content
      return .init(
        status: "206 Partial Content",
        headers: ["ETag: \(Self.etag)", "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/1000"],
        body: Array(bytes[range]))
    }
    defer { server.stop() }
    let reader = reader(grant(server, checksums: [algorithm, "MD5"]))
    for range in [700..<1000, 0..<300, 300..<700] as [Range<Int64>] { _ = try await reader.read(range) }
    let wrong = algorithm == "SHA256" ? "00" : Self.sha256
    #expect(throws: DeliveryFailure.self) { try reader.confirmChecksum(sha256: wrong) }
    _ = try await reader.read(700..<1000)
    try reader.confirmChecksum(sha256: Self.sha256)
  }

  @Test("where an earlier run read some of the pieces, nothing is said")
  func resumed() async throws {
    let server = RangeServer { request in
      .init(
        status: "206 Partial Content", headers: ["ETag: \(Self.etag)", "Content-Range: bytes 0-299/1000"],
        body: Array(repeating: 0, count: 300))
    }
    defer { server.stop() }
    let reader = reader(grant(server, checksums: ["CRC32"]))
    _ = try await reader.read(0..<300)
    try reader.confirmChecksum(sha256: Self.sha256)
  }
}

/// Whether this is the first time it is asked.
private final class Served: Sendable {
  private let wasAsked = Mutex(false)
  func isFirst() -> Bool {
    wasAsked.withLock { wasAsked in
      defer { wasAsked = true }
      return !wasAsked
    }
  }
}
