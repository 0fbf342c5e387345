// Reads a file at a server back and hashes it: many slices in flight over the pool's connections, hashed in order on a
// thread of its own.
import Crypto
import NIOCore
import Synchronization
import Transport

struct SFTPReader: Sendable {
  /// Bytes of one call, and how many calls are in flight or read and not yet hashed: 16 MiB at most, which the files that are
  /// read back at once have to share.
  static let sliceSize: Int64 = 1 << 20
  static let slicesAhead = 16
  static let leastSlicesAhead = 2

  let name: String
  let handles: SFTPHandles
  let pool: SFTPPool

  init(_ name: String, _ handles: SFTPHandles, _ pool: SFTPPool) {
    self.name = name
    self.handles = handles
    self.pool = pool
  }

  typealias Gate = @Sendable (Range<Int64>) async throws(DestinationError) -> ChunkCode
  typealias Report = @Sendable (RemoteChunk) async throws(DestinationError) -> Void

  func digest(of range: Range<Int64>, _ hashing: SFTPRemoteHash?) async throws(DestinationError) -> ContentDigest {
    let digest = try await prove(
      range, chunkSize: .max, hashesWhole: true, hashing, whenWritten: { (_) async throws(DestinationError) in .sha256 },
      onChunk: { (_) async throws(DestinationError) in })
    guard let digest else { throw .unhashed(name) }
    return digest
  }

  /// As RemoteFile.readBack.
  func readBack(
    _ range: Range<Int64>, chunkSize: Int, hashesWhole: Bool, whenWritten: Gate, onChunk: Report
  ) async throws(DestinationError) -> ContentDigest? {
    let plan = Plan(range, chunkSize: Int64(max(chunkSize, 1)))
    if range.count <= Self.sliceSize, plan.chunks <= 1 {
      guard plan.chunks == 1 else { return Self.sha256(ByteBuffer()) }
      let code = try await whenWritten(range)
      let bytes = try await read(range)
      let hash = ReadBackHash(hashesWhole: hashesWhole)
      hash.begin(code.simplified(isOnly: true, hashesWhole: hashesWhole))
      bytes.withUnsafeReadableBytes { hash.update($0) }
      try await onChunk(RemoteChunk(range: range, code: hash.endChunk()))
      return hash.digest()
    }
    do {
      return try await withoutActuallyEscaping(whenWritten) { gate in
        try await readAhead(plan, hashesWhole, gate, onChunk)
      }
    } catch let error as DestinationError {
      throw error
    } catch {
      throw DestinationError(.failed, "\(name) couldn't be read back: \(error).", nextStep: "Try again.")
    }
  }

  /// A range cut into chunks, and those into slices.
  struct Plan {
    let range: Range<Int64>
    let chunkSize: Int64
    let chunks: Int

    init(_ range: Range<Int64>, chunkSize: Int64) {
      self.range = range
      self.chunkSize = min(chunkSize, max(1, Int64(range.count)))
      chunks = Int((Int64(range.count) + self.chunkSize - 1) / self.chunkSize)
    }

    func chunk(_ index: Int) -> Range<Int64> {
      let start = range.lowerBound + Int64(index) * chunkSize
      return start..<min(start + chunkSize, range.upperBound)
    }
  }

  private enum Event: Sendable {
    case written(ChunkCode)
    case slice(start: Int64, ByteBuffer)
  }

  private func readAhead(
    _ plan: Plan, _ hashesWhole: Bool, _ gate: @escaping Gate, _ onChunk: Report
  ) async throws -> ContentDigest? {
    let hasher = SFTPHasher(hashesWhole: hashesWhole)
    pool.readers.wrappingAdd(1, ordering: .relaxed)
    defer {
      hasher.stop()
      pool.readers.wrappingSubtract(1, ordering: .relaxed)
    }
    await pool.expect(Int64(plan.range.count))
    return try await withThrowingTaskGroup(of: Event.self) { group in
      var codes: [ChunkCode] = []  // of the chunks that may be read and are not yet hashed
      var written = 0  // chunks that may be read
      var asking = false
      var asked = plan.range.lowerBound
      var arrived: [Int64: ByteBuffer] = [:]
      var inFlight = 0
      var hashed = plan.range.lowerBound
      var chunk = 0
      while chunk < plan.chunks {
        let end = written == 0 ? asked : plan.chunk(written - 1).upperBound
        if !asking, written < plan.chunks, asked == end {
          asking = true
          let next = plan.chunk(written)
          group.addTask { .written(try await gate(next)) }
        }
        let ahead = max(Self.leastSlicesAhead, Self.slicesAhead / max(1, pool.readers.load(ordering: .relaxed)))
        while asked < end, inFlight + arrived.count < ahead {
          let slice = asked..<min(asked + Self.sliceSize, end)
          asked = slice.upperBound
          inFlight += 1
          group.addTask { .slice(start: slice.lowerBound, try await read(slice)) }
        }
        if let bytes = arrived.removeValue(forKey: hashed) {
          let range = plan.chunk(chunk)
          let starting = hashed == range.lowerBound ? codes.removeFirst() : nil
          hashed += Int64(bytes.readableBytes)
          let code = await hasher.take(bytes, starting: starting, endsChunk: hashed == range.upperBound)
          pool.buffers.giveBack(bytes)
          if let code {
            try await onChunk(RemoteChunk(range: range, code: code))
            chunk += 1
          }
          continue
        }
        switch try await group.next() {
        case .written(let code)?:
          codes.append(code.simplified(isOnly: plan.chunks == 1, hashesWhole: hashesWhole))
          (written, asking) = (written + 1, false)
        case .slice(let start, let bytes)?:
          arrived[start] = bytes
          inFlight -= 1
        case nil: break
        }
      }
      return await hasher.whole()
    }
  }

  static func sha256(_ bytes: ByteBuffer) -> ContentDigest {
    var hash = SHA256()
    bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
    return ContentDigest(sha256: hash.finalize())
  }

  /// The whole range (a slice at most), or an error if the file ends before it does.
  func read(_ range: Range<Int64>) async throws(DestinationError) -> ByteBuffer {
    let bytes = try await pool.withConnection(
      preferring: handles.connections, bytes: range.count
    ) { (connection) async throws(SFTPError) in
      if Task.isCancelled {
        throw SFTPError(.cancelled, "Reading \(name) was cancelled.", nextStep: "Start it again if it is wanted.")
      }
      return try await connection.read(range, from: try await handles.handle(on: connection), pool.buffers)
    }
    let missing = range.count - bytes.readableBytes
    guard missing == 0 else {
      throw DestinationError(
        SFTPError(
          .failure, "The file \(name) at the destination ends \(missing) bytes short of \(range.upperBound).",
          nextStep: "Send the missing part again.", providerCode: "SSH_FX_EOF"))
    }
    return bytes
  }
}

/// Hashes on a thread of its own: a chunk's bytes, and all.
private actor SFTPHasher {
  private nonisolated let thread = SSHThread()
  private let hash: ReadBackHash

  init(hashesWhole: Bool) { hash = ReadBackHash(hashesWhole: hashesWhole) }

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
  nonisolated func stop() { thread.stop() }

  /// - Parameter starting: of a chunk's first bytes, its code.
  /// - Returns: the code at a chunk's end.
  func take(_ bytes: ByteBuffer, starting code: ChunkCode?, endsChunk: Bool) -> [UInt8]? {
    if let code { hash.begin(code) }
    bytes.withUnsafeReadableBytes { hash.update($0) }
    return endsChunk ? hash.endChunk() : nil
  }

  func whole() -> ContentDigest? { hash.digest() }
}
