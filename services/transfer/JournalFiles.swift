// What the journal holds of a delivery's files when a run begins: counted at once, and then handed out file by file, so that a
// delivery of a million files takes no more memory than one of a thousand.
import DocumentStore
import FerryAPI
import Workflow

/// The documents under a prefix, in order, a page at a time.
struct JournalCursor {
  private static let pageDocuments = 250

  private let context: RunContext
  private let prefix: String
  private var page: ArraySlice<Document> = []
  private var token: PageToken?
  private var isAtEnd = false

  init(_ context: RunContext, _ prefix: String) {
    self.context = context
    self.prefix = prefix
  }

  mutating func next() async throws -> Document? {
    guard try await peek() != nil else { return nil }
    return page.popFirst()
  }

  mutating func peek() async throws -> Document? {
    while page.isEmpty, !isAtEnd {
      let found = try await context.query(prefix: prefix, limit: Self.pageDocuments, after: token)
      (page, token, isAtEnd) = (found.documents[...], found.next, found.next == nil)
    }
    return page.first
  }
}

/// What is proven and what is still to do.
struct JournalSums: Sendable {
  private(set) var writtenChunks: Int64 = 0
  private(set) var allChunks: Int64 = 0
  private(set) var pendingFiles = 0
  /// Bytes, of the files that are still to deliver.
  private(set) var largestChunk: Int64 = 1
  /// A file that is still to deliver is small.
  private(set) var hasSmall = false
  /// Files that are still to deliver and of which an earlier run wrote chunks: those that were under way when it ended.
  private(set) var begun: Set<Int32> = []

  /// Counts, and puts what is proven into the journal's live figures.
  init(_ journal: DeliveryJournal) async throws {
    let options = await journal.delivery.options
    let isEnding = await journal.meta.ending != nil
    // Both are in the order of the files.
    var chunks = JournalCursor(journal.context, JournalKeys.allChunks)
    var files = JournalCursor(journal.context, JournalKeys.files)
    while let document = try await files.next() {
      let file = try DeliveryFile(decoding: document.body)
      let size = Planner.chunkSize(file.size, wanted: options.chunkSize)
      let ofFile = Planner.chunks(file, chunkSize: size)
      allChunks += ofFile
      if file.status == .delivered {
        writtenChunks += ofFile
        Self.count(delivered: file, journal.progress)
        continue
      }
      if file.status == .failed, isEnding { journal.progress.addFailedFile() }
      pendingFiles += 1
      largestChunk = max(largestChunk, size)
      if file.size <= FileQueue.smallSize { hasSmall = true }
      try await count(chunksOf: file, &chunks, journal.progress)
    }
  }

  private mutating func count(
    chunksOf file: DeliveryFile, _ chunks: inout JournalCursor, _ progress: DeliveryProgress
  ) async throws {
    let (own, first) = (JournalKeys.chunks(file.index), JournalKeys.chunk(file.index, 0))
    while let document = try await chunks.peek(), document.key.sort < first || document.key.sort.hasPrefix(own) {
      _ = try await chunks.next()
      guard document.key.sort.hasPrefix(own) else { continue }
      begun.insert(file.index)
      let chunk = try Chunk(decoding: document.body)
      guard chunk.written else { continue }
      writtenChunks += 1
      progress.add(chunk.length, to: .download)
      if chunk.deliveredLength > 0 { progress.add(chunk.length, to: .compress) }
      progress.add(chunk.length, to: .transfer)
    }
  }

  private static func count(delivered file: DeliveryFile, _ progress: DeliveryProgress) {
    for state in StateTracker.perFile {
      _ = progress.pass(state)
      if StateTracker.countsBytes(state) { progress.add(file.size, to: state) }
    }
    if file.compression.format != nil { progress.addPacked(file.size, file.deliveredSize) }
  }

  /// Says so where this is not the first run.
  func tellResumption(_ journal: DeliveryJournal) async throws {
    let (written, all) = (writtenChunks, allChunks)
    try await journal.change { change in
      let run = change.delivery.runs
      guard run > 1 else { return }
      let text = "run \(run) took the delivery up: \(written) of \(all) chunks were already written"
      change.event(.note, text)
      change.note("run/\(run)", "R\(text.dropFirst()).")
    }
  }
}

/// The files that are not delivered, in order, as the journal has them. A file is read before it is begun, so what this run
/// writes of others is never met.
struct PendingFiles {
  private let context: RunContext
  private let begun: Set<Int32>
  private var files: JournalCursor
  private var checksums: JournalCursor

  /// - Parameter begun: `JournalSums.begun`.
  init(_ context: RunContext, begun: Set<Int32>) {
    self.context = context
    self.begun = begun
    files = JournalCursor(context, JournalKeys.files)
    checksums = JournalCursor(context, JournalKeys.checksums)
  }

  /// The next one, without its chunks.
  mutating func next() async throws -> FileState? {
    while let document = try await files.next() {
      var file = try DeliveryFile(decoding: document.body)
      if file.status == .delivered { continue }
      if file.status == .failed { (file.status, file.problem) = (.waiting, nil) }
      return FileState(
        file: file, sourceSHA256: try await checksum(of: file.index), hasChunks: begun.contains(file.index),
        wasBegun: file.status == .transferring)
    }
    return nil
  }

  private mutating func checksum(of index: Int32) async throws -> String {
    let wanted = JournalKeys.checksum(index)
    while let document = try await checksums.peek(), document.key.sort <= wanted {
      _ = try await checksums.next()
      if document.key.sort == wanted { return String(decoding: document.body, as: UTF8.self) }
    }
    return ""
  }

  /// With its chunks, for a file whose turn it is.
  func loaded(_ state: FileState) async throws -> FileState {
    guard state.hasChunks else { return state }
    var loaded = state
    var documents = JournalCursor(context, JournalKeys.chunks(state.file.index))
    while let document = try await documents.next() {
      let chunk = try Chunk(decoding: document.body)
      loaded.chunks[chunk.index] = chunk
    }
    return loaded
  }
}

/// A file as the journal has it.
struct FileState: Sendable {
  var file: DeliveryFile
  /// By index: those that were sent at least once.
  var chunks: [Int32: Chunk] = [:]
  /// Base64, where the provider stated one.
  var sourceSHA256 = ""
  /// The journal holds chunks of it.
  var hasChunks = false
  /// An earlier run had begun to deliver it.
  var wasBegun = false
}
