// A file on its way to an FTP server: one upload stream that goes on for as long as the writes follow each other, and
// is begun anew where they don't. Read-back is in FTPReader.swift, the final rename in FTPRename.swift.
import NIOCore
import Synchronization
import Transport

actor FTPRemoteFile: RemoteFile {
  /// More calls than this don't wait for their turn.
  static let maxWaiting = 256
  /// An upload that doesn't begin for this long may be kept off by a reader of ours who waits for it.
  private static let lockPatience = Duration.milliseconds(500)

  private struct Upload: Sendable {
    let connection: FTPConnection
    let feed: FTPFeed
    let end: Task<Result<Void, FTPError>, Never>
  }

  nonisolated let path: RemotePath
  private let pool: FTPPool
  private nonisolated let part: String
  private let replaces: Bool
  private let folderMode: UInt16?
  private var upload: Upload?
  /// Where the running upload's next byte goes.
  private var position: Int64 = 0
  /// What the server has confirmed to hold; nil after a failure, until it is asked.
  private var end: Int64?
  /// Counts writes into what was there before: bytes read ahead of one may be old ones.
  private(set) var rewrites = 0
  private var isBeginning = false
  /// An upload can't begin: on a server that locks files, a reader who waits for more keeps it from doing so.
  private nonisolated let isKeptOff = Mutex(false)
  private var busy = false
  private var turns: [CheckedContinuation<Void, Never>] = []

  /// - Parameters:
  ///   - end: bytes that the .part file has.
  ///   - replaces: a file is known to have the final name.
  ///   - folderMode: permission bits of folders that are made for it.
  init(_ path: RemotePath, pool: FTPPool, end: Int64, replaces: Bool, folderMode: UInt16? = nil) {
    self.folderMode = folderMode
    self.path = path
    self.pool = pool
    self.end = end
    self.replaces = replaces
    part = path.part.text
  }

  // MARK: One call at a time

  private func enter() async throws(DestinationError) {
    guard busy else {
      busy = true
      return
    }
    guard turns.count < Self.maxWaiting else {
      throw DestinationError(
        .busy, "\(Self.maxWaiting) calls already wait for \(path).", nextStep: "Write its chunks one after another.")
    }
    await withCheckedContinuation { turns.append($0) }
  }

  private func leave() {
    if turns.isEmpty { busy = false } else { turns.removeFirst().resume() }
  }

  // MARK: Write

  /// Begins the file, with its folders if they are missing.
  func start() async throws(DestinationError) {
    do throws(DestinationError) { try await begin(at: 0) } catch {
      let mayBeFolders = [.denied, .missing, .failed, .invalidPath].contains(error.kind) && !error.retryable
      guard mayBeFolders else { throw error }
      // Where none is missing now, another file's beginning may have made it since.
      try await makeFolders()
      try await begin(at: 0)
    }
  }

  private func makeFolders() async throws(DestinationError) {
    let (folder, folderMode) = (path.parent, folderMode)
    try await pool.withConnection { (connection) async throws(FTPError) in
      let made = try await connection.makeDirectories(folder)
      for folder in made {
        guard let folderMode, try await !connection.setMode(folderMode, of: folder.text) else { continue }
        throw FTPError(
          .unsupported, "\(connection.endpoint) made \(folder), and sets no permissions of folders.",
          nextStep: "Leave the folders' permissions out for this server.")
      }
    }
  }

  /// Returns once no more than `FTPFeed.maxUnsentBytes` wait to be sent, if the write goes on where the last one ended.
  /// A write into what the file has already is confirmed by the server when this returns. On some servers, and on all
  /// at offset 0, that cuts off what follows: the error then says where to go on.
  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError) {
    if bytes.readableBytes == 0 { return }
    try await enter()
    defer { leave() }
    if upload != nil, offset == position, try await send(bytes) { return }
    try await finishUpload()
    let before = try await knownEnd()
    if offset > before { throw Self.goOn(at: before, "\(path) has only \(before) bytes at \(pool.endpoint)") }
    if offset < before { rewrites += 1 }
    try await begin(at: offset, with: bytes)
    guard offset < before else { return }
    try await finishUpload()
    let after = try await Self.size(of: path, pool)
    end = after
    if after < before { throw Self.goOn(at: after, "\(pool.endpoint) cut \(path) off when a part of it was repaired") }
  }

  /// False if the upload had ended before by itself, with all that it was given.
  private func send(_ bytes: ByteBuffer) async throws(DestinationError) -> Bool {
    guard let upload else { return false }
    let connection = upload.connection
    let sent = await withTaskCancellationHandler { await upload.feed.send(bytes) } onCancel: { connection.abort() }
    if sent == .refused {
      try await finishUpload()
      return false
    }
    position += Int64(bytes.readableBytes)
    try await check(sent)
    return true
  }

  private func check(_ sent: FTPFeed.Sent) async throws(DestinationError) {
    if sent == .lost {
      try await finishUpload()
      throw Self.goOn(at: try await knownEnd(), "\(pool.endpoint) ended the upload of \(path) early")
    }
  }

  private static func goOn(at offset: Int64, _ what: String) -> DestinationError {
    var error = DestinationError(
      .failed, "\(what).", nextStep: "Send the file again from byte \(offset) on.", providerCode: "")
    error.goOnAt = offset
    return error
  }

  /// A reader of the file should end its download, whatever it waits for.
  nonisolated var wantsToWrite: Bool { isKeptOff.withLock { $0 } }

  /// The first bytes go with it: an upload that had none yet would give way to whoever waits for a connection.
  private func begin(at offset: Int64, with first: ByteBuffer = ByteBuffer()) async throws(DestinationError) {
    isBeginning = true
    let patience = pool.locksUploads ? Duration.zero : Self.lockPatience
    let pushing = Task {
      do { try await Task.sleep(for: patience) } catch { return }  // the upload began
      isKeptOff.withLock { $0 = true }
      pool.demand.nudge()
    }
    defer {
      pushing.cancel()
      isKeptOff.withLock { $0 = false }
      isBeginning = false
    }
    while true {
      let lease = try await pool.lease()
      let (connection, demand, pool, part) = (lease.connection, pool.demand, pool, part)
      let feed = FTPFeed(first) { demand.claim() }
      let holder = demand.hold { feed.nudge() }
      let end = Task { () -> Result<Void, FTPError> in
        let result: Result<Void, FTPError>
        do throws(FTPError) {
          result = .success(try await connection.upload(part, at: offset, from: feed))
        } catch {
          result = .failure(error)
        }
        feed.close()
        demand.release(holder)
        await pool.giveBack(connection)
        return result
      }
      let started = await withTaskCancellationHandler { await feed.started() } onCancel: { connection.abort() }
      if started {
        upload = Upload(connection: connection, feed: feed, end: end)
        position = offset + Int64(first.readableBytes)
        let sent = await withTaskCancellationHandler { await feed.room() } onCancel: { connection.abort() }
        return try await check(sent)
      }
      if case .failure(let error) = await end.value {
        let diedIdle = lease.reused && !connection.isUsable && error.kind != .timeout && !Task.isCancelled
        if !diedIdle { throw DestinationError(error) }
      }
    }
  }

  /// Waits for the server to confirm what it was sent.
  private func finishUpload() async throws(DestinationError) {
    guard let upload else { return }
    upload.feed.finish()
    let connection = upload.connection
    let result = await withTaskCancellationHandler { await upload.end.value } onCancel: { connection.abort() }
    self.upload = nil
    switch result {
    case .success where upload.feed.isDrained: end = max(end ?? 0, position)
    case .success: end = nil
    case .failure(let error):
      end = nil
      throw DestinationError(error)
    }
  }

  private func knownEnd() async throws(DestinationError) -> Int64 {
    if let end { return end }
    let size = try await Self.size(of: path, pool)
    end = size
    return size
  }

  /// Of the .part file, as the server tells it.
  static func size(of path: RemotePath, _ pool: FTPPool) async throws(DestinationError) -> Int64 {
    let part = path.part.text
    let size = try await pool.withConnection { (connection) async throws(FTPError) -> Int64? in
      if let size = try await connection.size(of: part) { return size }
      return try await connection.info(of: part)?.size
    }
    if let size { return size }
    throw DestinationError(
      .missing, "\(pool.endpoint) has no \(path.part), or doesn't tell its size.", nextStep: "Begin the file anew.")
  }

  // MARK: Read back

  /// Ends the running upload, so that the server has told what came of it; the next write begins another.
  func flush() async throws(DestinationError) {
    try await enter()
    defer { leave() }
    try await finishUpload()
  }

  /// An upload runs, or is about to.
  var isUploading: Bool { isBeginning || upload != nil }

  /// How long the running upload has had nothing to send; nil while it has, or if there is none.
  var idleTime: Duration? { upload?.feed.idleTime }

  func size() async throws(DestinationError) -> Int64 {
    try await flush()
    return try await Self.size(of: path, pool)
  }

  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    let reader = FTPReader(part, shown: path, pool: pool, file: self)
    return try await reader.digest(
      chunks: chunks, hashesWhole: hashesWhole, whenWritten: whenWritten, onChunk: onChunk)
  }

  func code(of size: Int64, _ code: FileCode) async throws(DestinationError) -> [UInt8]? {
    // Without the hash there is nothing to ask, not even for the size.
    guard let hash = FTPHash(code), await pool.features?.hashes.contains(hash) ?? true else { return nil }
    try await flush()
    let part = part
    return try await pool.withConnection { (connection) async throws(FTPError) in
      guard try await connection.size(of: part) == size else { return nil }
      return try await connection.hash(hash, of: part, 0..<size, isWhole: true)
    }
  }

  // MARK: The end

  func set(_ attributes: FileAttributes) async throws(DestinationError) {
    try await flush()
    let (path, part) = (path, part)
    try await pool.withConnection { (connection) async throws(FTPError) in
      try await connection.set(attributes, of: path, at: part)
    }
  }

  func commit(size: Int64, overwrite: Bool) async throws(DestinationError) {
    try await enter()
    defer { leave() }
    try await finishUpload()
    try await pool.rename(path, size: size, overwrite: overwrite)
    if replaces, await pool.replacesByRename == nil { await pool.note(replacesByRename: true) }
  }

  func abandon() async throws(DestinationError) {
    upload?.connection.abort()
    await close()
    let part = part
    try await pool.withConnection { (connection) async throws(FTPError) in try await connection.removeIfPresent(part) }
  }

  func close() async {
    // What came of the last bytes is found out by whoever opens the file again; they were not proven.
    try? await flush()
  }
}
