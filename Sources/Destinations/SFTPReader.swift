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

  func digest(of range: Range<Int64>, _ hashing: SFTPRemoteHash?) async throws(DestinationError) -> ContentDigest {
    let whole = WrittenChunk(range: range, code: .sha256)
    let digest = try await prove(
      chunks: range.isEmpty ? 0 : 1, hashesWhole: true, hashing,
      whenWritten: { (_) async throws(DestinationError) in whole }, onChunk: { (_) async throws(DestinationError) in })
    guard let digest else { throw .unhashed(name) }
    return digest
  }

  /// As RemoteFile.readBack.
  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: ChunkGate, onChunk: ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    if chunks == 0 { return Self.sha256(ByteBuffer()) }
    if chunks == 1 {
      let only = try await whenWritten(0)
      if only.range.count <= Self.sliceSize { return try await readAtOnce(only, hashesWhole, onChunk) }
    }
    do {
      return try await withoutActuallyEscaping(whenWritten) { gate in
        try await readAhead(chunks, hashesWhole, gate, onChunk)
      }
    } catch let error as DestinationError {
      throw error
    } catch {
      throw DestinationError(.failed, "\(name) couldn't be read back: \(error).", nextStep: "Try again.")
    }
  }

  private func readAtOnce(
    _ only: WrittenChunk, _ hashesWhole: Bool, _ onChunk: ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    let bytes = try await read(only.range)
    let hash = ReadBackHash(hashesWhole: hashesWhole)
    hash.begin(only.code.simplified(isOnly: true, hashesWhole: hashesWhole))
    bytes.withUnsafeReadableBytes { hash.update($0) }
    try await onChunk(RemoteChunk(index: 0, range: only.range, code: hash.endChunk()))
    return hash.digest()
  }

  private enum Event: Sendable {
    case written(WrittenChunk)
    case slice(start: Int64, ByteBuffer)
  }

  /// - Parameter chunks: one at least.
  private func readAhead(
    _ chunks: Int, _ hashesWhole: Bool, _ gate: @escaping ChunkGate, _ onChunk: ChunkReport
  ) async throws -> ContentDigest? {
    let hasher = SFTPHasher(hashesWhole: hashesWhole)
    pool.readers.wrappingAdd(1, ordering: .relaxed)
    defer {
      hasher.stop()
      pool.readers.wrappingSubtract(1, ordering: .relaxed)
    }
    let first = try await gate(0)
    // Those that follow are about as long, as a rule.
    await pool.expect(Int64(first.range.count) * Int64(chunks))
    return try await withThrowingTaskGroup(of: Event.self) { group in
      var open = [first]  // chunks that may be read and are not yet hashed
      var written = 1  // chunks that may be read
      var end = first.range.upperBound  // of those
      var asking = false
      var asked = first.range.lowerBound
      var arrived: [Int64: ByteBuffer] = [:]
      var inFlight = 0
      var hashed = first.range.lowerBound
      var chunk = 0
      while chunk < chunks {
        if !asking, written < chunks, asked == end {
          asking = true
          let next = written
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
          let range = open[0].range
          let code = open[0].code.simplified(isOnly: chunks == 1, hashesWhole: hashesWhole)
          let starting = hashed == range.lowerBound ? code : nil
          hashed += Int64(bytes.readableBytes)
          let told = await hasher.take(bytes, starting: starting, endsChunk: hashed == range.upperBound)
          pool.buffers.giveBack(bytes)
          if let told {
            try await onChunk(RemoteChunk(index: chunk, range: range, code: told))
            open.removeFirst()
            chunk += 1
          }
          continue
        }
        switch try await group.next() {
        case .written(let next)?:
          open.append(next)
          end = next.range.upperBound
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
