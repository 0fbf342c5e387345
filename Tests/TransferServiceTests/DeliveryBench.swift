// What the tests of one file's delivery run on: a source on disk, a real journal and engine, and a server in memory.
import Crypto
import Destinations
import DocumentStore
import FerryAPI
import FoundationEssentials
import Glibc
import Synchronization
import Testing
import Transport
import Workflow

@testable import TransferService

/// A source file, a store on disk and an engine whose one kind of run delivers that file.
final class Bench: Sendable {
  /// Smaller than a request may ask for, to keep the files small.
  static let chunkSize: Int64 = 1000
  let folder: String
  let store: SQLiteDocumentStore
  let content: [UInt8]
  /// What the requester chose; the chunk size is the bench's.
  let choices: DeliveryOptions
  let server = MemoryDestination()
  let hub = WatchHub()
  let remote = Mutex<ReadGrant?>(nil)

  /// - Parameter content: of the source.
  init(_ content: [UInt8], _ choices: DeliveryOptions = DeliveryOptions()) async throws {
    (self.content, self.choices) = (content, choices)
    folder = FileManager.default.temporaryDirectory.appending(path: "ferry-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = try SQLiteDocumentStore(path: folder + "/journal.sqlite")
    try Data(content).write(to: URL(filePath: folder + "/source"))
    let size = Int64(content.count)
    // As the plan would name it.
    let file = DeliveryFile.with {
      ($0.key, $0.remotePath, $0.size, $0.status) = ("source", "/out/f", size, .waiting)
      guard let format = choices.compression.format else { return }
      ($0.compression, $0.remotePath) = (choices.compression, "/out/f" + format.suffix)
    }
    let delivery = Delivery.with {
      ($0.id, $0.filesTotal, $0.bytesTotal, $0.states) = ("dlv_1", 1, size, StateTracker().states)
      $0.request = DeliveryRequest.with { $0.options = Self.options(choices) }
    }
    var batch = Batch(partition: JournalKeys.partition("dlv_1"))
    batch.put(JournalKeys.delivery, delivery.encodedBytes())
    batch.put(JournalKeys.meta, [UInt8](try JSONEncoder().encode(DeliveryMeta())))
    batch.put(JournalKeys.file(0), file.encodedBytes())
    try await store.commit(batch)
  }

  /// The content doesn't matter.
  convenience init(bytes: Int, _ choices: DeliveryOptions = DeliveryOptions()) async throws {
    try await self.init((0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }, choices)
  }

  private static func options(_ choices: DeliveryOptions) -> DeliveryOptions {
    var options = choices
    options.chunkSize = chunkSize
    return options
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func grant() -> ReadGrant {
    if let grant = remote.withLock({ $0 }) { return grant }
    var info = stat()
    stat(folder + "/source", &info)
    let modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    return ReadGrant.with {
      ($0.path, $0.size, $0.modifiedNS) = (folder + "/source", Int64(content.count), modified)
    }
  }

  /// One run, as after a restart: the failures of its files and the figures.
  func run(onConflict: OnConflict = .overwrite, budget: Int = 0, inFlight: Int = 1) async throws -> [DeliveryFile] {
    let engine = WorkflowEngine(store: store, instance: "i", options: .init(namespace: JournalKeys.namespace))
    let failed = Mutex<[DeliveryFile]>([])
    let stopped = Mutex<DeliveryFailure?>(nil)
    await engine.register(
      WorkflowKind(JournalKeys.kind) { [self] context in
        let journal = try await DeliveryJournal.open(context, hub: hub)
        var options = Self.options(choices)
        options.onConflict = onConflict
        let chosen = options
        let sums = try await JournalSums(journal)
        var persist = Persistence(budgetSeconds: budget)
        persist.budget.initialDelay = .milliseconds(1)
        let threads = WorkThreads()
        let tools = DeliveryTools(
          journal: journal, destination: server, threads: threads,
          reader: { [self] file in
            let grant = grant()
            return RangeReader(
              subject: file.key, size: file.size, etag: "", http: HTTPClient(), threads: threads,
              buffers: BufferPool(most: 1), now: { 0 }
            ) { () async throws(DeliveryFailure) in grant }
          },
          persist: persist, chunks: Slots(inFlight), buffers: BufferPool(most: inFlight),
          codes: ChunkCodes(key: Array(0..<16)), options: chosen,
          writesAtOffsets: try await server.capabilities().writesAtOffsets,
          hashing: RemoteHashing(try await server.capabilities().remoteHashes, chosen.proof), protocolName: "memory",
          claims: TargetClaims(), server: "memory")
        do {
          let files = try await DeliveryWork(tools: tools, sums: sums, atOnce: 1).run()
          failed.withLock { $0 = files.first.map { [$0] } ?? [] }
        } catch let failure as DeliveryFailure {
          stopped.withLock { $0 = failure }
          throw failure
        }
        return []
      })
    let id = RunID("dlv_1")
    if try await engine.run(id) == nil {
      try await engine.start(id, kind: JournalKeys.kind, input: [])
    } else {
      try await engine.retry(id)
    }
    try await engine.resume()
    _ = try await engine.wait(id)
    await engine.stop()
    if let failure = stopped.withLock({ $0 }) { throw failure }
    return failed.withLock { $0 }
  }

  /// Codes of the files' problems.
  func problems(
    onConflict: OnConflict = .overwrite, budget: Int = 0, inFlight: Int = 1
  ) async throws -> [String] {
    try await run(onConflict: onConflict, budget: budget, inFlight: inFlight).map { file in
      "\(file.problem?.code ?? ""): \(file.problem?.message ?? "")"
    }
  }

  func succeeds(budget: Int = 0, inFlight: Int = 1, location: SourceLocation = #_sourceLocation) async throws {
    let problems = try await problems(budget: budget, inFlight: inFlight)
    #expect(problems == [], sourceLocation: location)
  }

  /// The file is there, whole, and nothing beside it.
  var hasArrived: Bool { server.files == ["/out/f": content] }

  func chunks() async throws -> [Chunk] {
    let page = try await store.query(partition: JournalKeys.partition("dlv_1"), prefix: JournalKeys.allChunks)
    return try page.documents.map { try Chunk(decoding: $0.body) }
  }

  func set(_ chunk: Chunk) async throws {
    let partition = JournalKeys.partition("dlv_1")
    try await store.put(DocumentKey(partition: partition, sort: JournalKeys.chunk(0, chunk.index)), chunk.encodedBytes())
  }

  func file() async throws -> DeliveryFile {
    let key = DocumentKey(partition: JournalKeys.partition("dlv_1"), sort: JournalKeys.file(0))
    return try DeliveryFile(decoding: try #require(try await store.get(key)).body)
  }

  func set(_ file: DeliveryFile) async throws {
    try await store.put(
      DocumentKey(partition: JournalKeys.partition("dlv_1"), sort: JournalKeys.file(0)), file.encodedBytes())
  }

  /// The engine forgets that the run succeeded; the delivery's own documents stay.
  func forgetRun() async throws {
    let page = try await store.query(partition: JournalKeys.partition("dlv_1"), prefix: "!")
    var batch = Batch(partition: JournalKeys.partition("dlv_1"))
    for document in page.documents { batch.delete(document.key.sort) }
    try await store.commit(batch)
  }

  var sha256: String { Hex.encode(SHA256.hash(data: content)) }
}
