// Proves what an FTP server holds: its own SHA-256 where it offers one, else by reading back, which may run beside the
// upload on a second connection. Bytes that were handed over may reach the server's disk later: what isn't there yet is
// waited for.
import Transport

struct FTPReader: Sendable {
  /// A file that doesn't grow for this long while bytes are due has its upload ended, which shows what became of them. On a
  /// server that locks, so has an upload without anything to send: each change from writing to reading and back costs a
  /// login.
  static let patience = Duration.seconds(1)
  /// A download that doesn't begin for this long, and as many round trips, while the file is being written, waits for
  /// the upload's end.
  private static let lockPatience = Duration.milliseconds(250)
  private static let lockRoundTrips = 12
  private static let firstPause = Duration.milliseconds(1)
  private static let longestPause = Duration.milliseconds(50)
  /// Between looks at an upload whose end is waited for.
  private static let uploadPause = Duration.milliseconds(5)
  /// Downloads lost one after another without a byte in between.
  private static let maxLosses = 2
  /// Fewer bytes than this are not worth a second connection.
  private static let leastSplit: Int64 = 32 << 20

  private let path: String
  private let shown: RemotePath
  private let pool: FTPPool
  private let file: FTPRemoteFile?

  /// - Parameter file: whose upload may be running.
  init(_ path: String, shown: RemotePath, pool: FTPPool, file: FTPRemoteFile?) {
    self.path = path
    self.shown = shown
    self.pool = pool
    self.file = file
  }

  /// As RemoteFile.readBack. On a server that lets nobody read beside an upload all is left to do once that has ended, and a
  /// single download seldom takes what the server and the way to it could give: it is read from two places then.
  func digest(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    let work = FTPReadBackWork(0..<chunks)
    // A digest of all goes through them in order.
    guard !hashesWhole, chunks > 1 else {
      return try await read(work, of: chunks, hashesWhole: hashesWhole, whenWritten: whenWritten, onChunk: onChunk)
    }
    let failure = await withTaskGroup(of: DestinationError?.self) { group in
      group.addTask { await failureOfReading(work, of: chunks, whenWritten, onChunk) }
      group.addTask {
        do throws(DestinationError) {
          let most = try await whenWritten(chunks * 3 / 4).range
          if pool.locksUploads, most.upperBound >= Self.leastSplit { await pool.prepare() }
          let end = try await whenWritten(chunks - 1).range.upperBound
          guard pool.locksUploads else { return nil }
          try await file?.flush()
          let later = work.laterHalf
          guard !later.isEmpty, await pool.hasRoom,
            try await end - whenWritten(later.lowerBound).range.lowerBound >= Self.leastSplit
          else { return nil }
        } catch { return error }
        return await failureOfReading(work.split(), of: chunks, whenWritten, onChunk)
      }
      var first: DestinationError?
      for await failure in group where first == nil {
        first = failure
        if failure != nil { group.cancelAll() }
      }
      return first
    }
    if let failure { throw failure }
    return nil
  }

  private func failureOfReading(
    _ work: FTPReadBackWork, of chunks: Int,
    _ whenWritten: @escaping ChunkGate, _ onChunk: @escaping ChunkReport
  ) async -> DestinationError? {
    do throws(DestinationError) {
      _ = try await read(work, of: chunks, hashesWhole: false, whenWritten: whenWritten, onChunk: onChunk)
      return nil
    } catch { return error }
  }

  /// Reads one chunk after another.
  private func read(
    _ work: FTPReadBackWork, of chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    guard var index = work.next() else { return ReadBackHash(hashesWhole: hashesWhole).digest() }
    let first = try await whenWritten(index).range.lowerBound
    let serverHashes = await pool.features?.hashes.contains(.sha256) ?? false
    let reading = FTPReading(at: first, file: file, demand: pool.demand, hashesWhole: hashesWhole)
    var asksServer = serverHashes
    var all = first..<first
    do throws(DestinationError) {
      while true {
        let chunk = try await whenWritten(index)
        // Nothing else will be sent.
        if index == chunks - 1, pool.locksUploads { try await file?.flush() }
        let (start, end) = (chunk.range.lowerBound, chunk.range.upperBound)
        let wanted = chunk.code.simplified(isOnly: chunks == 1, hashesWhole: hashesWhole)
        all = first..<end
        var digest: ContentDigest?
        if asksServer, let hashed = wanted.hashedRange(of: chunk.range, from: first) {
          digest = try await serverDigest(of: hashed)
        }
        asksServer = digest != nil
        let code: [UInt8]
        if let digest { code = digest.bytes } else {
          if let download = reading.download, await file?.rewrites ?? 0 != download.rewrites { await reading.stop() }
          if reading.tap.position < start {
            // The server hashed what is before.
            reading.begin(.sha256FromStart)
            try await read(until: start, reading)
          }
          reading.begin(wanted)
          try await read(until: end, reading)
          code = reading.endChunk()
        }
        try await onChunk(RemoteChunk(index: index, range: chunk.range, code: code))
        if asksServer, chunks == 1, let digest { return digest }
        guard let next = work.next() else { break }
        index = next
      }
      await reading.stop()
    } catch {
      await reading.stop()
      throw error
    }
    guard asksServer, hashesWhole else { return reading.digest() }
    guard let digest = try await serverDigest(of: all) else { throw unhashed() }
    return digest
  }

  // MARK: The server's own hash

  private func unhashed() -> DestinationError {
    DestinationError(
      .failed, "\(pool.endpoint) stopped hashing \(shown) midway.", nextStep: "Try again: the file is then read back.",
      retryable: true)
  }

  private func serverDigest(of range: Range<Int64>) async throws(DestinationError) -> ContentDigest? {
    try await waitFor(range.upperBound)
    let path = path
    return try await pool.withConnection { (connection) async throws(FTPError) in
      let size = try await connection.size(of: path)
      let isWhole = range.lowerBound == 0 && size == range.upperBound
      return try await connection.hash(.sha256, of: path, range, isWhole: isWhole).map { ContentDigest(sha256: $0) }
    }
  }

  // MARK: Reading

  private func read(until end: Int64, _ reading: FTPReading) async throws(DestinationError) {
    reading.tap.allow(until: end)
    var losses = 0
    while true {
      let before = reading.tap.position
      if before == end { return }
      if reading.download == nil {
        try await waitFor(end)
        reading.download = try await start(reading.tap)
      }
      let watch = await watchForLock(reading, from: before)
      let stop = await reading.tap.stopped()
      watch?.cancel()
      if stop == .reached { return }
      let result = await reading.ended()
      losses = reading.tap.position > before ? 0 : losses + 1
      if case .failure(let error) = result {
        if Task.isCancelled || !(error.retryable || error.kind == .cancelled || error.kind == .closed) {
          throw DestinationError(error)
        }
        if losses > Self.maxLosses { throw DestinationError(error) }
      } else if reading.tap.position < end {
        try await waitForMore(than: reading.tap.position, of: end)
      }
    }
  }

  /// Ends the upload if the download can't begin because of it, and remembers that.
  private func watchForLock(_ reading: FTPReading, from position: Int64) async -> Task<Void, Never>? {
    guard let file, let download = reading.download, await file.isUploading else { return nil }
    let patience = Self.lockPatience + download.connection.roundTrip * Self.lockRoundTrips
    let (pool, tap) = (pool, reading.tap)
    return Task {
      do { try await Task.sleep(for: patience) } catch { return }  // the download came on
      guard tap.position == position, await file.isUploading else { return }
      pool.noteLockedUploads()
      // What came of the upload is told to whoever writes next.
      try? await file.flush()
    }
  }

  private func start(_ tap: FTPTap) async throws(DestinationError) -> FTPReading.Download {
    let rewrites = await file?.rewrites ?? 0
    let lease = try await pool.lease()
    let (connection, demand, pool, path) = (lease.connection, pool.demand, pool, path)
    tap.begin()
    let holder = demand.hold { tap.nudge() }
    let position = tap.position
    let end = Task { () -> Result<Void, FTPError> in
      let result: Result<Void, FTPError>
      do throws(FTPError) {
        result = .success(try await connection.retrieve(path, at: position, into: tap))
      } catch {
        result = .failure(error)
      }
      demand.release(holder)
      await pool.giveBack(connection)
      tap.end()
      return result
    }
    return FTPReading.Download(connection: connection, end: end, rewrites: rewrites)
  }

  // MARK: Waiting for the server's disk

  /// Returns once the server's file reaches `end`, or doesn't grow. Only a running upload is worth waiting for.
  private func waitFor(_ end: Int64) async throws(DestinationError) {
    guard let file, await file.isUploading else { return }
    if pool.locksUploads { return try await waitForUpload(of: file) }
    if try await grows(past: end - 1) { return }
    try await file.flush()
  }

  /// On a server that locks: the upload goes on for as long as there is something to send.
  private func waitForUpload(of file: FTPRemoteFile) async throws(DestinationError) {
    while await file.isUploading {
      if let idle = await file.idleTime, idle >= Self.patience { return try await file.flush() }
      try await pause(Self.uploadPause)
    }
  }

  private func pause(_ duration: Duration) async throws(DestinationError) {
    do { try await Task.sleep(for: duration) } catch {
      throw DestinationError(
        .cancelled, "Reading \(shown) back was cancelled.", nextStep: "Start it again if it is wanted.")
    }
  }

  /// After the server saw the file's end too early.
  private func waitForMore(than position: Int64, of end: Int64) async throws(DestinationError) {
    if let file, await file.isUploading {
      if try await grows(past: position) { return }
      try await file.flush()
    }
    // Without SIZE another download has to tell; one that brings nothing ends the matter.
    let size = try await size()
    if let size, size > position { return }
    throw DestinationError(
      .failed, "\(shown) is \(end - (size ?? position)) bytes short at \(pool.endpoint).",
      nextStep: "Send what is missing again.")
  }

  /// False if the file stays at or below `position` for `patience` without growing.
  private func grows(past position: Int64) async throws(DestinationError) -> Bool {
    var pause = Self.firstPause
    var last: Int64 = -1
    var since = ContinuousClock.now
    while ContinuousClock.now - since < Self.patience {
      guard let size = try await size() else { return false }
      if size > position { return true }
      if size > last { (last, since) = (size, .now) }
      try await self.pause(pause)
      pause = min(pause * 2, Self.longestPause)
    }
    return false
  }

  private func size() async throws(DestinationError) -> Int64? {
    let path = path
    return try await pool.withConnection { (connection) async throws(FTPError) in try await connection.size(of: path) }
  }
}

/// One reading back: the valve, the hashes behind it, and the download that runs at the moment. Used by one task.
private final class FTPReading {
  struct Download {
    let connection: FTPConnection
    let end: Task<Result<Void, FTPError>, Never>
    /// The file's count of rewrites when it began: what was read ahead is worth nothing after another.
    let rewrites: Int
  }

  let tap: FTPTap
  var download: Download?
  /// Of the connection's thread and of the task, which take turns.
  private let hash: ReadBackHash

  init(at position: Int64, file: FTPRemoteFile?, demand: FTPDemand, hashesWhole: Bool) {
    hash = ReadBackHash(hashesWhole: hashesWhole)
    let hash = hash
    tap = FTPTap(at: position, isWanted: { file?.wantsToWrite ?? false || demand.claim() }) { bytes in
      hash.update(bytes)
    }
  }

  func begin(_ code: ChunkCode) { hash.begin(code) }
  func endChunk() -> [UInt8] { hash.endChunk() }
  func digest() -> ContentDigest? { hash.digest() }

  /// What came of the download, once it has ended.
  func ended() async -> Result<Void, FTPError> {
    guard let download else { return .success(()) }
    self.download = nil
    let connection = download.connection
    return await withTaskCancellationHandler { await download.end.value } onCancel: { connection.abort() }
  }

  /// Ends the download: well if the server has no more to send, else with its connection.
  func stop() async {
    tap.stop()
    _ = await ended()
  }
}
