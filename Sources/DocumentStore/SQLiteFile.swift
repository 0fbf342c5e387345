// Opening the database file: it is made for its owner alone, bears our mark, and a file with another mark is left
// untouched. Also the wording of SQLite's errors. The documents themselves are SQLiteDocumentStore's.

import FoundationEssentials
import GRDB

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct SQLiteFile {
  /// "FRRY": written to the header, see "Application ID" in SQLite's file format.
  static let applicationID: Int32 = 0x4652_5259
  static let schemaVersion: Int32 = 1
  /// How long a writer waits for another process's lock.
  static let busyTimeoutSeconds = 5.0
  /// Page cache of a connection, in KiB. Small: the system's file cache is behind it.
  static let cacheKiB = 512
  /// The log is copied back into the file once it has this many pages of 4 KiB.
  static let checkpointPages = 1000
  /// A log that outgrew this (a long reader held it) is cut back at the next checkpoint.
  static let walSizeLimitBytes = 8 * 1024 * 1024
  static let readers = 2

  let path: String

  func openPool() throws(DocumentStoreError) -> DatabasePool {
    do {
      try makePrivate()
      try markOrRefuse()
      let pool = try DatabasePool(path: path, configuration: Self.configuration(readers: Self.readers))
      // GRDB sets NORMAL for WAL; a commit that returned must survive a power cut.
      try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
      return pool
    } catch let error as DocumentStoreError {
      throw error
    } catch {
      throw .sqlite(error, path: path)
    }
  }

  private static func configuration(readers: Int) -> Configuration {
    var configuration = Configuration()
    configuration.label = "DocumentStore"
    configuration.foreignKeysEnabled = false
    configuration.busyMode = .timeout(busyTimeoutSeconds)
    configuration.maximumReaderCount = readers
    configuration.persistentReadOnlyConnections = true
    configuration.prepareDatabase { database in
      try database.execute(
        sql: """
          PRAGMA cache_size = -\(cacheKiB);
          PRAGMA wal_autocheckpoint = \(checkpointPages);
          PRAGMA journal_size_limit = \(walSizeLimitBytes);
          """)
    }
    return configuration
  }

  /// Creates the file with mode 0600 if there is none, and takes others' rights away if there is one. SQLite gives its
  /// -wal and -shm files the same mode.
  private func makePrivate() throws(DocumentStoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw cannotOpen(errno) }
    defer { close(descriptor) }
    guard fchmod(descriptor, 0o600) == 0 else { throw cannotOpen(errno) }
  }

  private func cannotOpen(_ code: CInt) -> DocumentStoreError {
    DocumentStoreError(
      .unavailable, message: "The database \(path) can't be opened: \(String(cString: strerror(code))).",
      nextStep: "Check that its folder exists and that this user owns it and may write there.")
  }

  /// An empty file gets the mark and the tables in one transaction, before the file is switched to WAL: what is not
  /// ours is recognised without changing it.
  private func markOrRefuse() throws {
    var configuration = Configuration()
    configuration.busyMode = .timeout(Self.busyTimeoutSeconds)
    configuration.foreignKeysEnabled = false
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    defer { try? queue.close() }  // only reads and one finished transaction were done: nothing is lost if it fails
    try queue.writeWithoutTransaction { database in
      try database.inTransaction(.immediate) {
        let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let version = try Int32.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let objects = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
        if application == 0 && version == 0 && objects == 0 {
          try database.execute(sql: Self.schema)
          return .commit
        }
        if application != Self.applicationID {
          throw DocumentStoreError(
            .foreign, message: "The file \(path) is another program's database.",
            nextStep: "Name another file for this service's data; this one was not changed.")
        }
        if version != Self.schemaVersion {
          throw DocumentStoreError(
            .foreign,
            message: "The database \(path) has schema version \(version); this program knows \(Self.schemaVersion).",
            nextStep: "Run the version of the program that wrote it, or a newer one.")
        }
        return .rollback
      }
    }
  }

  private static let schema = """
    PRAGMA application_id = \(applicationID);
    PRAGMA user_version = \(schemaVersion);
    CREATE TABLE document (
      partition TEXT NOT NULL, sort TEXT NOT NULL, version INTEGER NOT NULL, expires_at INTEGER, body BLOB NOT NULL,
      PRIMARY KEY (partition, sort)
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX document_expiry ON document (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (1, 0);
    """
}

extension DocumentStoreError {
  /// SQLite's own result code and text are kept: they are what its documentation is searched by.
  static func sqlite(_ error: any Error, path: String) -> DocumentStoreError {
    if let error = error as? DocumentStoreError { return error }
    guard let error = error as? DatabaseError else {
      return DocumentStoreError(
        .unavailable, message: "The database \(path) failed: \(error).", nextStep: "Try again.")
    }
    let detail = "SQLite error \(error.extendedResultCode.rawValue): \(error.message ?? "no text")"
    switch error.resultCode {
    case .SQLITE_FULL:
      return DocumentStoreError(
        .full, message: "The database \(path) can't grow (\(detail)).", nextStep: "Free space on its disk.")
    case .SQLITE_CORRUPT:
      return DocumentStoreError(
        .corrupt, message: "The database \(path) is damaged (\(detail)).",
        nextStep: "Stop the service and restore the file from a backup.")
    case .SQLITE_NOTADB:
      return DocumentStoreError(
        .foreign, message: "The file \(path) is not a database (\(detail)).",
        nextStep: "Name another file for this service's data; this one was not changed.")
    case .SQLITE_TOOBIG:
      return .invalid("A document is too big for SQLite (\(detail)).", nextStep: "Split it into several documents.")
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      return DocumentStoreError(
        .unavailable, message: "The database \(path) is locked by another process (\(detail)).",
        nextStep: "Try again, and see that no other program holds it open.")
    default:
      return DocumentStoreError(
        .unavailable, message: "The database \(path) failed (\(detail)).",
        nextStep: "Check its disk and its rights, then try again.")
    }
  }
}
