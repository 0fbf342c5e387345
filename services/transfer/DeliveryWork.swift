// Moves the files of a delivery: several at once, their chunks in bounded memory, until all are delivered or told why
// not. What one file goes through is FileDelivery's; what comes before and after, the workflow's.
import Destinations
import FerryAPI

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
  let options: DeliveryOptions
  /// What the destination can do, asked once.
  let writesAtOffsets: Bool
  /// The server is allowed to hash files itself, and can.
  let hashesRemotely: Bool
  /// "sftp": whose code a failure at the destination carries.
  let protocolName: String

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
  /// Not delivered yet, in order, with what the journal holds of their chunks.
  let files: [FileState]
  let atOnce: Int

  static func slots(chunkSize: Int64) -> Slots {
    Slots(max(2, min(maxChunksInFlight, Int(maxBytesInFlight / max(chunkSize, 1)))))
  }

  /// Returns the files that failed by themselves. Throws what ends the delivery as a whole.
  func run() async throws -> [DeliveryFile] {
    let group = FileGroup(tools.journal)
    let queue = FileQueue(files, tools)
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

  private func runAll(_ queue: FileQueue, _ group: FileGroup) async throws -> [DeliveryFile] {
    let small = files.contains { queue.isSmall($0) }
    let workers = max(1, min(atOnce * (small ? Self.smallFilesAtOnce : 1), files.count))
    return try await withThrowingTaskGroup(of: [DeliveryFile].self) { tasks in
      for _ in 0..<workers {
        tasks.addTask {
          var failed: [DeliveryFile] = []
          while let file = try await queue.next() {
            if let file = try await deliver(file, queue.isSmall(file) ? group : nil) { failed.append(file) }
          }
          return failed
        }
      }
      var failed: [DeliveryFile] = []
      for try await some in tasks { failed += some }
      return failed.sorted { $0.index < $1.index }
    }
  }

  /// The file with its problem if it failed by itself.
  private func deliver(_ state: FileState, _ group: FileGroup?) async throws -> DeliveryFile? {
    let delivery = FileDelivery(tools: tools, state: state, group: group)
    do {
      try await delivery.run()
      return nil
    } catch let failure as DeliveryFailure where failure.scope == .file && !Task.isCancelled {
      var file = state.file
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
}

/// A file as the journal has it.
struct FileState: Sendable {
  var file: DeliveryFile
  /// By index: those that were sent at least once.
  var chunks: [Int32: Chunk] = [:]
  /// Base64, where the provider stated one.
  var sourceSHA256 = ""
  /// An earlier run had begun to deliver it.
  var wasBegun = false

  var hasWritten: Bool { chunks.values.contains(where: \.written) }
}
