// Moves the files of a delivery: several at once, their chunks in bounded memory, until all are delivered or told why
// not. What one file goes through is FileDelivery's; what comes before and after, the workflow's.
import Destinations
import FerryAPI
import NIOCore
import Transport

/// What all files of one delivery share.
struct DeliveryTools: Sendable {
  let journal: DeliveryJournal
  let destination: any Destinations.Destination
  let threads: WorkThreads
  /// One that lives as long as its file is under way, and with it the read right.
  let reader: @Sendable (DeliveryFile) -> RangeReader
  let persist: Persistence
  /// Chunks in flight, over all files of the delivery: read, hashed or being written.
  let chunks: Slots
  /// For chunks: as many as are in flight.
  let buffers: BufferPool
  let codes: ChunkCodes
  let options: DeliveryOptions
  /// What the destination can do, asked once.
  let writesAtOffsets: Bool
  /// What the server is allowed to hash itself, and can.
  let hashing: RemoteHashing
  /// "sftp": whose code a failure at the destination carries.
  let protocolName: String
  let claims: TargetClaims
  /// Whose paths they are: "user@host:port".
  let server: String

  /// Its own and the destination's, where there are caps.
  var throttles: [Throttle] = []

  /// At offset, as fast as the caps allow.
  func write(_ bytes: ByteBuffer, at offset: Int64, to remote: any RemoteFile) async throws {
    var (rest, offset) = (bytes, offset)
    repeat {
      let size = min(rest.readableBytes, throttles.compactMap(\.slice).min() ?? rest.readableBytes)
      for throttle in throttles { try await throttle.wait(size) }
      guard let slice = rest.readSlice(length: size) else { return }
      let at = offset
      try await reaching { () throws(DestinationError) in try await remote.write(slice, at: at) }
      offset += Int64(size)
    } while rest.readableBytes > 0
  }

  /// What the server can't set is said once, and keeps no file from being delivered.
  func give(_ attributes: FileAttributes, to remote: any RemoteFile) async throws {
    if attributes.isEmpty { return }
    do {
      try await insist("setting permissions or time of \(remote.path)") {
        try await reaching(remote.path.text) { () throws(DestinationError) in try await remote.set(attributes) }
      }
    } catch let failure as DeliveryFailure where failure.problem.code == "DESTINATION_UNSUPPORTED" {
      guard journal.progress.saysFirst(failure.problem.message) else { return }
      let text = failure.problem.message
      try await journal.change { change in
        change.event(.note, text)
        change.note("attributes", text)
      }
    }
  }

  /// Keeps a path from other deliveries; the one that has it already, if one does.
  func claim(_ path: String) -> String? { claims.take(target(path), for: journal.context.id.rawValue) }

  func giveBack(_ path: String) { claims.giveBack(target(path)) }

  private func target(_ path: String) -> String { "\(server) \(path)" }

  func chunkSize(_ file: DeliveryFile) -> Int64 { Planner.chunkSize(file.size, wanted: options.chunkSize) }

  /// Calls until it works or the budget is spent; each further try is told in the journal.
  func insist<Value: Sendable>(
    _ what: String, _ call: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await persist(onRetry: { try await journal.retried(what, $0) }, call)
  }
}

struct DeliveryWork: Sendable {
  /// Chunks in flight at most; larger chunks are fewer, so that bytes are bounded too.
  static let maxChunksInFlight = 12
  static let maxBytesInFlight: Int64 = 48 << 20
  /// Small files at once for each that may be at once otherwise: while one waits for its source, another is sent.
  private static let smallFilesAtOnce = 2

  let tools: DeliveryTools
  /// What is to do.
  let sums: JournalSums
  let atOnce: Int

  /// The files that failed by themselves.
  struct Failed: Sendable {
    var count: Int64 = 0
    /// The first of them in the delivery's order.
    var first: DeliveryFile?

    mutating func add(_ file: DeliveryFile) { add(Failed(count: 1, first: file)) }

    mutating func add(_ other: Failed) {
      count += other.count
      guard let file = other.first else { return }
      if first.map({ $0.index > file.index }) ?? true { first = file }
    }
  }

  static func chunksInFlight(chunkSize: Int64) -> Int {
    max(2, min(maxChunksInFlight, Int(maxBytesInFlight / max(chunkSize, 1))))
  }

  /// Throws what ends the delivery as a whole.
  func run() async throws -> Failed {
    let group = FileGroup(tools.journal)
    let queue = FileQueue(PendingFiles(tools.journal.context, begun: sums.begun), tools)
    do {
      let failed = try await runAll(queue, group)
      try await group.flush()
      return failed
    } catch {
      // What was delivered is said, whatever ended the rest; a journal that can't be written is what ended it, then.
      try? await group.flush()
      throw error
    }
  }

  private func runAll(_ queue: FileQueue, _ group: FileGroup) async throws -> Failed {
    let workers = max(1, min(atOnce * (sums.hasSmall ? Self.smallFilesAtOnce : 1), sums.pendingFiles))
    return try await withThrowingTaskGroup(of: Failed.self) { tasks in
      for _ in 0..<workers {
        tasks.addTask {
          var failed = Failed()
          while let file = try await queue.next() {
            if let file = try await deliver(file, queue.isSmall(file) ? group : nil) { failed.add(file) }
          }
          return failed
        }
      }
      var failed = Failed()
      for try await some in tasks { failed.add(some) }
      return failed
    }
  }

  /// The file with its problem if it failed by itself.
  private func deliver(_ state: FileState, _ group: FileGroup?) async throws -> DeliveryFile? {
    let delivery = FileDelivery(tools: tools, state: state, group: group)
    do {
      try await delivery.chooseCompression()
      try await claiming(await delivery.file) { try await delivery.run() }
      return nil
    } catch let failure as DeliveryFailure where failure.scope == .file && !Task.isCancelled {
      // As the delivery left it: its path may be a numbered one.
      var file = await delivery.file
      file.status = .failed
      file.problem = failure.problem
      if file.problem?.subject.isEmpty == true { file.problem?.subject = file.key }
      file.problem?.time = tools.journal.now()
      // Best effort: the end of the delivery tries once more.
      try? await delivery.removePart()
      try await tools.journal.put(file)
      tools.journal.progress.addFailedFile()
      let problem = failure.problem
      let key = String(file.key.prefix(255))
      let index = file.index
      try await tools.journal.change { change in
        let text = "\(key) was not delivered: \(problem.message) \(problem.nextStep)"
        change.event(.note, text)
        // Each file's end is in the file list; the tickets hold the first few.
        if index < 20 || change.meta.nextNote < 60 { change.note("file/\(index)", text) }
      }
      return file
    }
  }

  /// Runs `work` while no other delivery writes to the same path; one that does is waited for as long as a retry may take.
  private func claiming(_ file: DeliveryFile, _ work: () async throws -> Void) async throws {
    try await tools.insist("taking \(file.remotePath)") { [tools] in
      guard let holder = tools.claim(file.remotePath) else { return }
      throw DeliveryFailure(
        "TARGET_BUSY", "The delivery \(holder) is writing to \(file.remotePath) at this moment.",
        next: "Wait until it has ended, then retry.", retryable: true, subject: file.remotePath)
    }
    defer { tools.giveBack(file.remotePath) }
    try await work()
  }
}
