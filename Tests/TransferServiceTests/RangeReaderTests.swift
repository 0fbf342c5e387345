// Ranged reads: each answer must be the range asked for, of the version granted; everything else has its own problem.
import FerryAPI
import FoundationEssentials
import Glibc
import NIOCore
import Synchronization
import Testing
import Transport

@testable import TransferService

@Suite struct RangeReaderTests {
  private static let content = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
  private static let etag = "\"v1\""

  private static func partial(_ request: RangeServer.Request) -> RangeServer.Answer {
    let numbers = (request.header("range") ?? "").dropFirst(6).split(separator: "-").compactMap { Int($0) }
    guard numbers.count == 2 else { return .init(status: "400 Bad Request") }
    return .init(
      status: "206 Partial Content",
      headers: ["ETag: \(etag)", "Content-Range: bytes \(numbers[0])-\(numbers[1])/1000"],
      body: Array(content[numbers[0]...numbers[1]]))
  }

  private func grant(_ server: RangeServer, expires: Int64 = 4_000_000_000, name: String = "o") -> ReadGrant {
    ReadGrant.with {
      ($0.url, $0.etag, $0.size) = ("http://127.0.0.1:\(server.port)/b/\(name)", Self.etag, 1000)
      $0.expiresAt = Timestamp.with { $0.seconds = expires }
    }
  }

  private func reader(
    now: Int64 = 0, size: Int64 = 1000, _ grant: @escaping @Sendable () async throws(DeliveryFailure) -> ReadGrant
  ) -> RangeReader {
    RangeReader(
      subject: "b/o", size: size, etag: Self.etag, http: HTTPClient(), threads: WorkThreads(),
      buffers: BufferPool(most: 1), now: { now }, grant: grant)
  }

  private func failure(
    of range: Range<Int64> = 0..<10, _ answer: @escaping @Sendable (RangeServer.Request) -> RangeServer.Answer
  ) async -> DeliveryFailure? {
    let server = RangeServer(answer)
    defer { server.stop() }
    let grant = grant(server)
    let reader = reader { () async throws(DeliveryFailure) in grant }
    do throws(DeliveryFailure) {
      _ = try await reader.read(range)
      return nil
    } catch { return error }
  }

  @Test("a range is read under the version's condition")
  func reads() async throws {
    let server = RangeServer(Self.partial)
    defer { server.stop() }
    let grant = grant(server)
    let bytes = try await reader { () async throws(DeliveryFailure) in grant }.read(100..<200)
    #expect(Array(bytes.readableBytesView) == Array(Self.content[100..<200]))
    #expect(server.requests.first?.header("range") == "bytes=100-199")
    #expect(server.requests.first?.header("if-match") == Self.etag)
  }

  @Test("a whole object may come as 200")
  func whole() async {
    let failure = await failure(of: 0..<1000) { _ in
      .init(status: "200 OK", headers: ["ETag: \(Self.etag)"], body: Self.content)
    }
    #expect(failure == nil)
  }

  @Test("an answer that ignores the range is refused")
  func ignoredRange() async {
    let failure = await failure { _ in .init(status: "200 OK", headers: ["ETag: \(Self.etag)"], body: Self.content) }
    #expect(failure?.problem.code == "STORAGE_ANSWER_UNREADABLE")
    #expect(failure?.retryable == false)
  }

  @Test("an answer that keeps to the range under a status of 200 is taken, if it says so exactly")
  func rangeAs200() async {
    let answer = { @Sendable (contentRange: String) in
      RangeServer.Answer(
        status: "200 OK", headers: ["ETag: \(Self.etag)", "Content-Range: \(contentRange)"],
        body: Array(Self.content[..<10]))
    }
    #expect(await failure { _ in answer("bytes 0-9/1000") } == nil)
    for wrong in ["bytes 0-9/*", "bytes 0-9/1001", "bytes 1-10/1000", "bytes 0-10/1000", ""] {
      #expect(await failure { _ in answer(wrong) }?.problem.code == "STORAGE_ANSWER_UNREADABLE", "\(wrong)")
    }
  }

  @Test("an ETag without its quotes is the same ETag")
  func unquotedETag() async {
    let failure = await failure { request in
      var answer = Self.partial(request)
      answer.headers[0] = "ETag: v1"
      return answer
    }
    #expect(failure == nil)
  }

  @Test("a 400 that gives no reason is a request cut on its way, and worth another try; one with a reason is not")
  func cutShort() async {
    let cut = await failure { _ in
      .init(
        status: "400 Bad Request", headers: ["Content-Type: text/plain; charset=utf-8"],
        body: Array("400 Bad Request".utf8))
    }
    #expect(cut?.problem.code == "STORAGE_UNAVAILABLE")
    #expect(cut?.retryable == true)
    #expect(cut?.scope == .delivery)
    let told = await failure { _ in
      .init(status: "400 Bad Request", body: Array("<Error><Code>InvalidRequest</Code></Error>".utf8))
    }
    #expect(told?.problem.code == "STORAGE_ANSWER_UNREADABLE")
    #expect(told?.retryable == false)
    let azure = await failure { _ in
      .init(status: "400 Bad Request", headers: ["x-ms-error-code: InvalidHeaderValue"])
    }
    #expect(azure?.retryable == false)
  }

  @Test("another range than asked for is refused")
  func otherRange() async {
    let failure = await failure { _ in
      .init(
        status: "206 Partial Content", headers: ["ETag: \(Self.etag)", "Content-Range: bytes 1-10/1000"],
        body: Array(Self.content[1...10]))
    }
    #expect(failure?.problem.code == "STORAGE_ANSWER_UNREADABLE")
  }

  @Test("another ETag means that the source changed")
  func otherETag() async {
    let failure = await failure { request in
      var answer = Self.partial(request)
      answer.headers[0] = "ETag: \"v2\""
      return answer
    }
    #expect(failure?.problem.code == "SOURCE_CHANGED")
  }

  @Test("statuses are told apart", arguments: [
    ("412 Precondition Failed", "PreconditionFailed", "SOURCE_CHANGED", false),
    ("404 Not Found", "NoSuchKey", "OBJECT_MISSING", false), ("404 Not Found", "NoSuchBucket", "BUCKET_MISSING", false),
    ("403 Forbidden", "AccessDenied", "ACCESS_DENIED", false),
    ("403 Forbidden", "SignatureDoesNotMatch", "WRONG_KEY", false),
    ("503 Slow Down", "SlowDown", "THROTTLED", true), ("500 Internal", "InternalError", "STORAGE_UNAVAILABLE", true),
  ])
  func statuses(_ status: String, _ code: String, _ expected: String, _ retryable: Bool) async {
    let failure = await failure { _ in
      let xml = "<Error><Code>\(code)</Code><Message>m</Message><RequestId>R1</RequestId></Error>"
      return .init(status: status, headers: ["Retry-After: 7"], body: Array(xml.utf8))
    }
    #expect(failure?.problem.code == expected)
    #expect(failure?.problem.providerCode == code)
    #expect(failure?.problem.requestID == "R1")
    #expect(failure?.retryable == retryable)
    #expect(failure?.retryAfter == .seconds(7))
    #expect(failure?.problem.nextStep.isEmpty == false)
  }

  @Test("a right that is about to end is renewed before the read")
  func renewed() async throws {
    let server = RangeServer(Self.partial)
    defer { server.stop() }
    let (old, new) = (grant(server, expires: 100, name: "old"), grant(server, name: "new"))
    let asked = Mutex(0)
    let reader = reader(now: 50_000) { () async throws(DeliveryFailure) in
      asked.withLock { $0 += 1; return $0 } == 1 ? old : new
    }
    for _ in 0..<3 { _ = try await reader.read(0..<1) }
    #expect(asked.withLock { $0 } == 2)
    #expect(server.requests.map { $0.head.contains("/new") } == [false, true, true])
  }

  @Test("a refused right is asked for once more")
  func refusedOnce() async throws {
    let server = RangeServer { request in
      request.head.contains("/old") ? .init(status: "403 Forbidden") : Self.partial(request)
    }
    defer { server.stop() }
    let (old, new) = (grant(server, name: "old"), grant(server, name: "new"))
    let asked = Mutex(0)
    let reader = reader { () async throws(DeliveryFailure) in asked.withLock { $0 += 1; return $0 } == 1 ? old : new }
    _ = try await reader.read(0..<10)
    #expect(server.requests.count == 2)
  }

  @Test("many reads at once ask for one right")
  func sharedGrant() async throws {
    let server = RangeServer(Self.partial)
    defer { server.stop() }
    let grant = grant(server)
    let asked = Mutex(0)
    let reader = reader { () async throws(DeliveryFailure) in
      asked.withLock { $0 += 1 }
      await Task.yield()
      return grant
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<8 { group.addTask { _ = try await reader.read(Int64(index)..<Int64(index) + 1) } }
      try await group.waitForAll()
    }
    #expect(asked.withLock { $0 } == 1)
  }

  @Test("a right to another size or version than planned means that the source changed")
  func grantOfAnother() async {
    let grant = ReadGrant.with { ($0.url, $0.etag, $0.size) = ("http://127.0.0.1:1/", Self.etag, 999) }
    await #expect { try await reader { () async throws(DeliveryFailure) in grant }.read(0..<1) } throws: { error in
      (error as? DeliveryFailure)?.problem.code == "SOURCE_CHANGED"
    }
  }

  @Test("a local file is read by its size and time, and a change shows")
  func localFile() async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "ferry-\(UUID().uuidString)").path
    try Data(Self.content).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    var info = stat()
    #expect(stat(path, &info) == 0)
    let modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    let grant = ReadGrant.with { ($0.path, $0.etag, $0.size, $0.modifiedNS) = (path, Self.etag, 1000, modified) }
    let reader = reader { () async throws(DeliveryFailure) in grant }
    let bytes = try await reader.read(10..<20)
    #expect(Array(bytes.readableBytesView) == Array(Self.content[10..<20]))
    try await reader.confirmUnchanged()
    try Data(Self.content + [0]).write(to: URL(filePath: path))
    await #expect { try await reader.read(0..<1) } throws: {
      ($0 as? DeliveryFailure)?.problem.code == "SOURCE_CHANGED"
    }
    await #expect { try await reader.confirmUnchanged() } throws: {
      ($0 as? DeliveryFailure)?.problem.code == "SOURCE_CHANGED"
    }
    try FileManager.default.removeItem(atPath: path)
    await #expect { try await reader.read(0..<1) } throws: {
      ($0 as? DeliveryFailure)?.problem.code == "OBJECT_MISSING"
    }
  }
}
