// Reads ranges of one version of one object, by the read rights that storage-broker grants: a URL for ranged GET, or a
// local path. Every answer must be of that version, and the bytes those that the storage says they are. One try a call:
// whoever calls decides about another.
import FerryAPI
import NIOCore
import Synchronization
import Transport

final class RangeReader: Sendable {
  /// A grant is renewed this long before it ends, so that no read under way loses it.
  static let renewBeforeMilliseconds: Int64 = 60_000
  /// A read slower than this on average fails and is tried again.
  private static let slowestBytesPerSecond = 64 * 1024
  private static let leastTimeout = Duration.seconds(60)

  /// Bytes of a range, read by what is given or by another delivery.
  typealias Sharing = @Sendable (
    Range<Int64>, @escaping @Sendable () async throws(DeliveryFailure) -> ByteBuffer
  ) async throws(DeliveryFailure) -> ByteBuffer
  typealias MakeGrant = @Sendable () async throws(DeliveryFailure) -> ReadGrant

  /// "bucket/key", as errors name it.
  let subject: String
  let size: Int64
  private let etag: String
  private let http: HTTPClient
  private let threads: WorkThreads
  private let buffers: BufferPool
  private let sharing: Sharing?
  private let grants: GrantKeeper
  /// Of an object read in pieces, once a grant has told what the storage states of it.
  private let checksum = Mutex<SourceChecksum?>(nil)

  /// - Parameters:
  ///   - etag: of the version to read.
  ///   - buffers: where what is read has its memory from, and goes back to.
  ///   - now: milliseconds since 1970.
  ///   - sharing: with deliveries to other servers; nil: none.
  init(
    subject: String, size: Int64, etag: String, http: HTTPClient, threads: WorkThreads,
    buffers: BufferPool, now: @escaping @Sendable () -> Int64, sharing: Sharing? = nil, grant: @escaping MakeGrant
  ) {
    self.sharing = sharing
    self.subject = subject
    self.size = size
    self.etag = EntityTag.quoted(etag)
    self.http = http
    self.threads = threads
    self.buffers = buffers
    grants = GrantKeeper(now: now, make: grant)
  }

  /// The bytes of the range, all of them.
  func read(_ range: Range<Int64>) async throws(DeliveryFailure) -> ByteBuffer {
    try await read(range, sharing)
  }

  private func read(_ range: Range<Int64>, _ sharing: Sharing?) async throws(DeliveryFailure) -> ByteBuffer {
    let grant = try await granted()
    do throws(DeliveryFailure) { return try await read(range, by: grant, sharing) } catch {
      // The right may have ended early: a clock that is off, a key that was replaced. A new one tells.
      guard error.problem.code == "ACCESS_DENIED" || error.problem.code == "WRONG_KEY", grant.path.isEmpty else {
        throw error
      }
      await grants.drop(grant)
      return try await read(range, by: try await granted(), sharing)
    }
  }

  /// A range that is looked at before the object is read: it doesn't count as read, and is shared with nobody.
  func sample(_ range: Range<Int64>) async throws(DeliveryFailure) -> ByteBuffer {
    let earlier = checksum.withLock { $0 }
    let bytes = try await read(range, nil)
    checksum.withLock { $0 = earlier }
    return bytes
  }

  /// The last look at the source: throws if it is known to have changed since it was read. A URL's reads each carried
  /// the version as a condition, so for them there is nothing more to ask.
  func confirmUnchanged() async throws(DeliveryFailure) {
    guard let grant = await grants.current, !grant.path.isEmpty else { return }
    if let failure = await threads.run({ [subject] in LocalFile.confirm(grant, subject: subject) }) { throw failure }
  }

  /// Throws if what was read of the object, all of it, is not what the storage states. Says nothing of a local file, of an
  /// object read as a whole, which each such read checks, and of one that an earlier run read in part.
  /// - Parameter sha256: of the whole, in hexadecimal.
  func confirmChecksum(sha256: String) throws(DeliveryFailure) {
    guard let checksum = checksum.withLock({ $0 }), checksum.holds(sha256: sha256) == false else { return }
    throw .corrupt(subject, checksum.stated.algorithm.name)
  }

  private func granted() async throws(DeliveryFailure) -> ReadGrant {
    let grant = try await grants.grant()
    if grant.size != size { throw .changed(subject, "it had \(size) bytes and has \(grant.size)") }
    if !etag.isEmpty, EntityTag.quoted(grant.etag) != etag {
      throw .changed(subject, "its ETag was \(etag) and is \(grant.etag)")
    }
    if let stated = SourceStatement.best(of: grant.checksums) {
      checksum.withLock { checksum in if checksum == nil { checksum = SourceChecksum(stated, size: size) } }
    }
    return grant
  }

  private func read(
    _ range: Range<Int64>, by grant: ReadGrant, _ sharing: Sharing?
  ) async throws(DeliveryFailure) -> ByteBuffer {
    guard !grant.url.isEmpty else {
      return try await threads.run { [subject, buffers] in LocalFile.read(range, of: grant, subject: subject, buffers) }.get()
    }
    let bytes =
      if let sharing {
        try await sharing(range) { () async throws(DeliveryFailure) in try await self.fetch(range, by: grant) }
      } else {
        try await fetch(range, by: grant)
      }
    if !isWhole(range) { await note(bytes, of: range) }
    return bytes
  }

  /// A whole object is compared with what the storage states of it.
  private func fetch(_ range: Range<Int64>, by grant: ReadGrant) async throws(DeliveryFailure) -> ByteBuffer {
    let count = Int(range.upperBound - range.lowerBound)
    var headers = grant.headers.map { (name: $0.name, value: $0.value) }
    // Only with the whole object do servers send what they state of its bytes.
    if !isWhole(range) { headers.append((name: "Range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")) }
    if !grant.etag.isEmpty, !headers.contains(where: { $0.name.lowercased() == "if-match" }) {
      headers.append((name: "If-Match", value: grant.etag))
    }
    let request = HTTPRequest(
      "GET", grant.url, headers: headers,
      timeout: max(Self.leastTimeout, .seconds(count / Self.slowestBytesPerSecond)),
      maxResponseBytes: max(count, 64 * 1024), expectedBytes: count, buffers: buffers)
    let response: HTTPResponse
    do throws(TransportError) { response = try await http.execute(request) } catch {
      // More bytes than asked for: no range was kept to.
      if error.kind == .tooLarge { throw unreadable("it sent more than the \(count) bytes asked for") }
      throw DeliveryFailure(error, subject: subject)
    }
    try check(response, range, grant)
    if isWhole(range) { try await compare(response, grant) }
    return response.body
  }

  private func isWhole(_ range: Range<Int64>) -> Bool { range == 0..<size }

  /// The whole object's bytes with the best that the storage states of them.
  private func compare(_ response: HTTPResponse, _ grant: ReadGrant) async throws(DeliveryFailure) {
    guard let stated = SourceStatement.best(in: response.headers) ?? SourceStatement.best(of: grant.checksums) else {
      return
    }
    let body = response.body
    if await threads.over(body, { stated.holds(for: $0) }) { return }
    let provider = response.headers["x-ms-request-id"] == nil ? "s3" : "azure"
    throw .corrupt(subject, stated.algorithm.name, provider: provider)
  }

  private func note(_ bytes: ByteBuffer, of range: Range<Int64>) async {
    guard let crc = checksum.withLock({ $0?.crc }) else { return }
    let value = await threads.over(bytes) { crc.checksum($0) }
    checksum.withLock { $0?.add(value, of: range) }
  }

  private func check(_ response: HTTPResponse, _ range: Range<Int64>, _ grant: ReadGrant) throws(DeliveryFailure) {
    let wanted = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
    let found = response.headers["content-range"] ?? ""
    switch response.status {
    case 206:
      // "bytes 0-9/*" is allowed where the server doesn't know the size (RFC 9110 section 14.4).
      guard found == wanted || found == "bytes \(range.lowerBound)-\(range.upperBound - 1)/*" else {
        throw unreadable("it sent \"\(found.prefix(80))\" for \"\(wanted)\"")
      }
    // Some servers keep to a range and don't say so in the status.
    case 200 where isWhole(range) || found == wanted: break
    case 200: throw unreadable("it ignored the range that was asked for")
    case 400 where DeliveryFailure.isCutShort(response): throw DeliveryFailure(cutShort: response, subject: subject)
    default: throw DeliveryFailure(status: response.status, response: response, subject: subject)
    }
    let count = Int(range.upperBound - range.lowerBound)
    guard response.body.readableBytes == count else {
      throw DeliveryFailure(
        "STORAGE_UNAVAILABLE", "Reading \(subject) gave \(response.body.readableBytes) of \(count) bytes.",
        next: "Try again.", scope: .delivery, retryable: true, provider: "s3", subject: subject)
    }
    if !grant.etag.isEmpty {
      let found = response.headers["etag"] ?? ""
      guard EntityTag.quoted(found) == EntityTag.quoted(grant.etag) else {
        throw .changed(subject, "its ETag was \(grant.etag) and is \(found)")
      }
    }
  }

  private func unreadable(_ why: String) -> DeliveryFailure {
    DeliveryFailure(
      "STORAGE_ANSWER_UNREADABLE", "The storage's answer for \(subject) can't be used: \(why).",
      next: "Check that the connection's endpoint is that of an S3 server that keeps to ranges.", provider: "s3",
      subject: subject)
  }
}

/// Holds the grant in use; many reads that need a new one at once ask for it once.
private actor GrantKeeper {
  private let now: @Sendable () -> Int64
  private let make: RangeReader.MakeGrant
  private(set) var current: ReadGrant?
  private var underway: Task<Result<ReadGrant, DeliveryFailure>, Never>?

  init(now: @escaping @Sendable () -> Int64, make: @escaping RangeReader.MakeGrant) {
    self.now = now
    self.make = make
  }

  func grant() async throws(DeliveryFailure) -> ReadGrant {
    if let current, isFresh(current) { return current }
    let task = underway ?? renewal()
    underway = task
    let result = await task.value
    if underway == task { underway = nil }
    let grant = try result.get()
    current = grant
    return grant
  }

  private func renewal() -> Task<Result<ReadGrant, DeliveryFailure>, Never> {
    Task { [make] in
      do throws(DeliveryFailure) { return .success(try await make()) } catch { return .failure(error) }
    }
  }

  func drop(_ grant: ReadGrant) {
    if current == grant { current = nil }
  }

  private func isFresh(_ grant: ReadGrant) -> Bool {
    guard let expiry = grant.expiresAt else { return true }
    return expiry.seconds * 1000 - now() > RangeReader.renewBeforeMilliseconds
  }
}
