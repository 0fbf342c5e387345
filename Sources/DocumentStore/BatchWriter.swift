// Writes a group of batches in one SQLite transaction. A batch's conditions are all checked before its first write,
// so a refused batch has nothing to undo and its neighbours go on: no savepoint is needed.

import FoundationEssentials
import GRDB

struct BatchWriter {
  let database: Database
  let now: UnixMilliseconds

  /// One outcome for each batch, in order; throws only what concerns them all, and then nothing is written.
  func write(_ batches: [Batch]) throws -> [CommitQueue.Outcome] {
    try database.beginTransaction(.immediate)
    let counter = try Row.fetchOne(database.cachedStatement(sql: "SELECT version FROM counter"))
    guard let start: DocumentVersion = counter?[0] else {
      throw DocumentStoreError(
        .corrupt, message: "The database has lost its version counter.", nextStep: "Restore the file from a backup.")
    }
    var version = start
    var outcomes: [CommitQueue.Outcome] = []
    outcomes.reserveCapacity(batches.count)
    for batch in batches { outcomes.append(try write(batch, version: &version)) }
    if version != start {
      try run("UPDATE counter SET version = ?", [version])
    }
    try database.commit()
    return outcomes
  }

  private func write(_ batch: Batch, version: inout DocumentVersion) throws -> CommitQueue.Outcome {
    var versions: [DocumentVersion] = []
    versions.reserveCapacity(batch.operations.count)
    for operation in batch.operations {
      guard operation.condition != .none || operation.action == .check else {
        versions.append(0)
        continue
      }
      let found = try currentVersion(batch.partition, operation.sort)
      if !operation.condition.holds(for: found) {
        let key = DocumentKey(partition: batch.partition, sort: operation.sort)
        return .failure(.conflict(key, found: found, wanted: operation.condition))
      }
      versions.append(operation.action == .check ? found ?? 0 : 0)
    }
    for (index, operation) in batch.operations.enumerated() {
      switch operation.action {
      case .put(let body, let expiresAt):
        version += 1
        versions[index] = version
        try run(Self.putSQL, [batch.partition, operation.sort, version, expiresAt, Data(body)])
      case .delete:
        try run("DELETE FROM document WHERE partition = ? AND sort = ?", [batch.partition, operation.sort])
      case .check:
        break
      }
    }
    return .success(versions)
  }

  private static let putSQL = """
    INSERT INTO document (partition, sort, version, expires_at, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at, body = excluded.body
    """

  private func currentVersion(_ partition: String, _ sort: String) throws -> DocumentVersion? {
    let statement = try database.cachedStatement(
      sql: "SELECT version, expires_at FROM document WHERE partition = ? AND sort = ?")
    guard let row = try Row.fetchOne(statement, arguments: [partition, sort]) else { return nil }
    if let expiresAt: UnixMilliseconds = row[1], expiresAt <= now { return nil }
    return row[0]
  }

  private func run(_ sql: String, _ arguments: StatementArguments) throws {
    try database.cachedStatement(sql: sql).execute(arguments: arguments)
  }
}

extension Condition {
  /// - Parameter found: the document's version, nil if it is absent or has expired.
  public func holds(for found: DocumentVersion?) -> Bool {
    switch self {
    case .none: true
    case .absent: found == nil
    case .version(let wanted): found == wanted
    }
  }
}
