// The document store of one machine: one SQLite file in WAL mode, one writer that serves all waiting commits in one
// transaction, and two readers beside it. How the file is opened and guarded is SQLiteFile's.

import FoundationEssentials
import GRDB
import Synchronization

public final class SQLiteDocumentStore: DocumentStore {
  /// Commits that may wait for the writer; the next one is refused as overloaded.
  public static let maximumWaitingCommits = 4096
  /// Batches in one transaction, at most: it bounds how long the first of them waits for the last.
  public static let maximumGroup = 256
  /// Documents one sweep removes, at most.
  public static let maximumSweep = 1000

  public let path: String
  let pool: DatabasePool
  let queue = CommitQueue(maximumWaiting: maximumWaitingCommits, maximumGroup: maximumGroup)
  private let now: @Sendable () -> UnixMilliseconds
  private let transactionCount = Atomic<Int>(0)

  /// Opens the file at `path`, or creates it (mode 0600); its folder has to exist. Refuses a file that is not ours.
  /// - Parameter now: the wall clock that decides what has expired.
  public init(
    path: String, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now
  ) throws(DocumentStoreError) {
    self.path = path
    self.now = now
    pool = try SQLiteFile(path: path).openPool()
  }

  /// Write transactions since the store was opened: with group commit far fewer than commits. For metrics.
  public var transactions: Int { transactionCount.load(ordering: .relaxed) }

  /// Serves the commits that wait, refuses new ones, then closes the file. Calling it again does nothing.
  public func close() async throws(DocumentStoreError) {
    await queue.close()
    do { try pool.close() } catch { throw .sqlite(error, path: path) }
  }

  // MARK: Reads

  public func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document? {
    try key.validate()
    return try await read { [now] database in
      let statement = try database.cachedStatement(
        sql: "SELECT version, expires_at, body FROM document WHERE partition = ? AND sort = ?")
      guard let row = try Row.fetchOne(statement, arguments: [key.partition, key.sort]) else { return nil }
      return Self.document(row, key: key, now: now())
    }
  }

  public func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage {
    let range = try SortKeyRange(partition: partition, prefix: prefix, order: order, after: after)
    guard (1...PageBounds.maximumDocuments).contains(limit) else {
      throw .invalid(
        "A page of \(limit) documents was asked for.", nextStep: "Ask for 1 to \(PageBounds.maximumDocuments).")
    }
    return try await read { [now] database in
      let statement = try database.cachedStatement(sql: range.sql)
      let rows = try Row.fetchCursor(statement, arguments: StatementArguments(range.arguments(now: now())))
      var documents: [Document] = []
      var bytes = 0
      while let row = try rows.next() {
        if documents.count == limit || bytes >= PageBounds.maximumBytes {
          return DocumentPage(documents: documents, next: documents.last.map { PageToken(sort: $0.key.sort) })
        }
        let key = DocumentKey(partition: partition, sort: row[3])
        guard let document = Self.document(row, key: key, now: nil) else { continue }
        bytes += document.body.count
        documents.append(document)
      }
      return DocumentPage(documents: documents, next: nil)
    }
  }

  /// - Parameter now: nil if expired rows were already left out.
  private static func document(_ row: Row, key: DocumentKey, now: UnixMilliseconds?) -> Document? {
    let expiresAt: UnixMilliseconds? = row[1]
    if let now, let expiresAt, expiresAt <= now { return nil }
    let body: Data = row[2]
    return Document(key: key, version: row[0], body: [UInt8](body), expiresAt: expiresAt)
  }

  /// Runs on a reader's own thread. One statement is its own snapshot, so no transaction is opened around it.
  private func read<Value: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws(DocumentStoreError) -> Value {
    if queue.isClosed { throw .storeClosed }
    let path = path
    let result: Result<Value, DocumentStoreError> = await withCheckedContinuation { reply in
      pool.asyncUnsafeRead { database in
        reply.resume(
          returning: Result { try body(try database.get()) }.mapError { DocumentStoreError.sqlite($0, path: path) })
      }
    }
    return try result.get()
  }

  // MARK: Writes

  @discardableResult
  public func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion] {
    try batch.validate()
    let outcome: CommitQueue.Outcome = await withCheckedContinuation { reply in
      switch queue.enter(CommitQueue.Waiting(batch: batch, reply: reply)) {
      case .wakeWriter: wakeWriter()
      case .waits: break
      case .refused(let error): reply.resume(returning: .failure(error))
      }
    }
    return try outcome.get()
  }

  @discardableResult
  public func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int {
    if queue.isClosed { throw .storeClosed }
    let (now, path) = (now(), path)
    let bound = min(max(limit, 0), Self.maximumSweep)
    let result: Result<Int, DocumentStoreError> = await withCheckedContinuation { reply in
      pool.asyncWriteWithoutTransaction { database in
        reply.resume(
          returning: Result {
            try database.execute(sql: Self.sweepSQL, arguments: [now, bound])
            return database.changesCount
          }.mapError { DocumentStoreError.sqlite($0, path: path) })
      }
    }
    return try result.get()
  }

  private static let sweepSQL = """
    DELETE FROM document WHERE (partition, sort) IN
      (SELECT partition, sort FROM document WHERE expires_at <= ? LIMIT ?)
    """

  /// The writer's turn: one group, one transaction, then its next turn is queued behind whatever else (a sweep) waits.
  private func wakeWriter() {
    pool.asyncWriteWithoutTransaction { [self] database in
      let group = queue.takeGroup()
      if group.isEmpty { return }
      let outcomes = write(group.map(\.batch), to: database)
      for (waiting, outcome) in zip(group, outcomes) { waiting.reply.resume(returning: outcome) }
      wakeWriter()
    }
  }

  private func write(_ batches: [Batch], to database: Database) -> [CommitQueue.Outcome] {
    do {
      transactionCount.wrappingAdd(1, ordering: .relaxed)
      return try BatchWriter(database: database, now: now()).write(batches)
    } catch {
      // Not a failed condition but SQLite itself (disk full, damaged, locked): it holds for the whole group.
      if database.isInsideTransaction {
        try? database.rollback()  // SQLite may have rolled back by itself; the first error is the one to tell
      }
      let failure = DocumentStoreError.sqlite(error, path: path)
      return batches.map { _ in .failure(failure) }
    }
  }
}
