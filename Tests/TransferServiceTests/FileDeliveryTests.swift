// One file from its source to its final name, on a real journal and a server in memory: what is proven is kept, what is
// not is sent again, and a rename is never taken for granted.
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
private final class Bench: Sendable {
  /// Smaller than a request may ask for, to keep the files small.
  static let chunkSize: Int64 = 1000
  let folder: String
  let store: SQLiteDocumentStore
  let content: [UInt8]
  let server = MemoryDestination()
  let hub = WatchHub()

  init(bytes: Int) async throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "ferry-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = try SQLiteDocumentStore(path: folder + "/journal.sqlite")
    content = (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
    try Data(content).write(to: URL(filePath: folder + "/source"))
    let file = DeliveryFile.with {
      ($0.key, $0.remotePath, $0.size, $0.status) = ("source", "/out/f", Int64(bytes), .waiting)
    }
    let delivery = Delivery.with {
      ($0.id, $0.filesTotal, $0.bytesTotal, $0.states) = ("dlv_1", 1, Int64(bytes), StateTracker().states)
      $0.request = DeliveryRequest.with { $0.options = DeliveryOptions.with { $0.chunkSize = Self.chunkSize } }
    }
    var batch = Batch(partition: JournalKeys.partition("dlv_1"))
    batch.put(JournalKeys.delivery, delivery.encodedBytes())
    batch.put(JournalKeys.meta, [UInt8](try JSONEncoder().encode(DeliveryMeta())))
    batch.put(JournalKeys.file(0), file.encodedBytes())
    try await store.commit(batch)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func grant() -> ReadGrant {
    var info = stat()
    stat(folder + "/source", &info)
    let modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    return ReadGrant.with {
      ($0.path, $0.size, $0.modifiedNS) = (folder + "/source", Int64(content.count), modified)
    }
  }

  /// One run, as after a restart: the failures of its files and the figures.
  func run(onConflict: OnConflict = .overwrite, budget: Int = 0) async throws -> [DeliveryFile] {
    let engine = WorkflowEngine(store: store, instance: "i", options: .init(namespace: JournalKeys.namespace))
    let failed = Mutex<[DeliveryFile]>([])
    let stopped = Mutex<DeliveryFailure?>(nil)
    await engine.register(
      WorkflowKind(JournalKeys.kind) { [self] context in
        let journal = try await DeliveryJournal.open(context, hub: hub)
        let options = DeliveryOptions.with { ($0.chunkSize, $0.onConflict) = (Self.chunkSize, onConflict) }
        let load = try await JournalLoad(journal)
        var persist = Persistence(budgetSeconds: budget)
        persist.budget.initialDelay = .milliseconds(1)
        let threads = WorkThreads()
        let tools = DeliveryTools(
          journal: journal, destination: server, threads: threads,
          reader: { [self] file in
            let grant = grant()
            return RangeReader(
              subject: file.key, size: file.size, etag: "", http: HTTPClient(), threads: threads, now: { 0 }
            ) { () async throws(DeliveryFailure) in grant }
          },
          persist: persist, chunks: Slots(1), options: options)
        do {
          let files = try await DeliveryWork(tools: tools, files: load.pending, atOnce: 1).run()
          failed.withLock { $0 = files }
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
  func problems(onConflict: OnConflict = .overwrite, budget: Int = 0) async throws -> [String] {
    try await run(onConflict: onConflict, budget: budget).map { file in
      "\(file.problem?.code ?? ""): \(file.problem?.message ?? "")"
    }
  }

  func succeeds(budget: Int = 0, location: SourceLocation = #_sourceLocation) async throws {
    let problems = try await problems(budget: budget)
    #expect(problems == [], sourceLocation: location)
  }

  /// The file is there, whole, and nothing beside it.
  var hasArrived: Bool { server.files == ["/out/f": content] }

  func chunks() async throws -> [Chunk] {
    let page = try await store.query(partition: JournalKeys.partition("dlv_1"), prefix: JournalKeys.allChunks)
    return try page.documents.map { try Chunk(decoding: $0.body) }
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

@Suite struct FileDeliveryTests {
  private static let lost = DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.")

  @Test("a file arrives whole, under its final name alone, with its digest journalled", arguments: [0, 1, 3900])
  func arrives(_ bytes: Int) async throws {
    let bench = try await Bench(bytes: bytes)
    try await bench.succeeds()
    #expect(bench.hasArrived)
    let file = try await bench.file()
    #expect(file.status == .delivered)
    #expect(file.sha256 == bench.sha256)
    #expect(try await bench.chunks().allSatisfy { $0.written && $0.sends == 1 })
  }

  @Test("a lost connection costs the chunks in flight and no more")
  func resumes() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number >= 3 ? Self.lost : nil } }
    await #expect { try await bench.run() } throws: { ($0 as? DeliveryFailure)?.problem.code == "CONNECTION_LOST" }
    #expect(try await bench.chunks().filter(\.written).map(\.index) == [0, 1])
    bench.server.state.withLock { $0.onWrite = nil }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends).prefix(3) == [1, 1, 2])
    #expect(try await bench.chunks().allSatisfy(\.written))
    #expect(bench.server.state.withLock { $0.creates } == 1)
    #expect(bench.hasArrived)
  }

  @Test("within the budget a lost write is tried again in the same run")
  func retries() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 2 ? Self.lost : nil } }
    try await bench.succeeds(budget: 10)
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1])
  }

  @Test("a chunk that comes back changed is sent again, the others are not")
  func corrupted() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.corruptsOnce = Bench.chunkSize }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 1, 1])
    #expect(bench.hasArrived)
  }

  @Test("a .part file that was tampered with between two runs is found out")
  func tampered() async throws {
    let bench = try await Bench(bytes: 3900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 4 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock {
      $0.onWrite = nil
      $0.files["/out/f.part"]?[5] ^= 0x80
    }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 1, 1, 2])
    #expect(bench.hasArrived)
  }

  @Test("a server that never keeps the bytes ends with PROOF_FAILED and no final name")
  func neverProven() async throws {
    let bench = try await Bench(bytes: 1200)
    bench.server.state.withLock { $0.corruptsAlways = true }
    let failed = try await bench.problems()
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["PROOF_FAILED"])
    #expect(bench.server.files["/out/f"] == nil)
  }

  @Test("a .part file that is gone is sent again")
  func partGone() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 3 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { ($0.onWrite, $0.files) = (nil, [:]) }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 2, 2])
    #expect(bench.hasArrived)
  }

  @Test("a file renamed just before a crash is known again by its bytes, and not sent", arguments: [800, 2300])
  func renamedBeforeCrash(_ bytes: Int) async throws {
    let bench = try await Bench(bytes: bytes)
    try await bench.succeeds()
    // As the journal was before the last record: proven, not yet delivered.
    var file = try await bench.file()
    file.status = bytes > Int(Bench.chunkSize) ? .verifying : .transferring
    if file.status == .transferring { file.sha256 = "" }
    file.deliveredAt = nil
    try await bench.set(file)
    try await bench.forgetRun()
    let writes = bench.server.writes.count
    try await bench.succeeds()
    #expect(bench.server.writes.count == writes)
    #expect(try await bench.file().status == .delivered)
    #expect(try await bench.file().sha256 == bench.sha256)
  }

  @Test("a foreign file under the final name is not taken for the delivered one")
  func foreignFile() async throws {
    let bench = try await Bench(bytes: 2300)
    try await bench.succeeds()
    var file = try await bench.file()
    file.status = .verifying
    try await bench.set(file)
    try await bench.forgetRun()
    bench.server.state.withLock { $0.files["/out/f"] = [UInt8](repeating: 1, count: 2300) }
    try await bench.succeeds()
    #expect(bench.hasArrived)
  }

  @Test("a rename whose answer was lost is not done twice")
  func lostRename() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.losesRenameAnswer = true }
    try await bench.succeeds(budget: 10)
    #expect(bench.hasArrived)
    #expect(try await bench.chunks().map(\.sends) == [1, 1, 1])
  }

  @Test("a taken name is refused before a byte is sent")
  func taken() async throws {
    let bench = try await Bench(bytes: 2300)
    bench.server.state.withLock { $0.files["/out/f"] = [1] }
    let failed = try await bench.problems(onConflict: .fail)
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["TARGET_EXISTS"])
    #expect(bench.server.writes.isEmpty)
    #expect(bench.server.files == ["/out/f": [1]])
  }

  @Test("a source that changes between two chunks ends with SOURCE_CHANGED and no final name")
  func changedSource() async throws {
    let bench = try await Bench(bytes: 3900)
    let path = bench.folder + "/source"
    bench.server.state.withLock { state in
      state.onWrite = { number, _ in
        if number == 2 { try? Data([1, 2, 3]).write(to: URL(filePath: path)) }
        return nil
      }
    }
    let failed = try await bench.problems()
    #expect(failed.map { $0.prefix { $0 != ":" } } == ["SOURCE_CHANGED"])
    #expect(bench.server.files["/out/f"] == nil)
    #expect(bench.server.files["/out/f.part"] == nil)
  }
}
