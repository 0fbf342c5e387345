// The file: whose it is, who may read it, what a crash leaves of it.

import DocumentStore
import Foundation
import GRDB
import Testing

@testable import DocumentStore

@Suite("The database file")
struct SQLiteFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func openingKind(_ path: String) -> DocumentStoreError.Kind? {
    do { _ = try SQLiteDocumentStore(path: path); return nil } catch { return error.kind }
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  @Test("is for its owner alone, its log too, even if it was open to others before")
  func mode() async throws {
    let made = FileManager.default.createFile(
      atPath: folder.file(), contents: nil, attributes: [.posixPermissions: 0o666])
    #expect(made)
    let store = try SQLiteDocumentStore(path: folder.file())
    try await store.put(key("a"), [])
    for suffix in ["", "-wal", "-shm"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder.file() + suffix)
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(suffix)")
    }
    try await store.close()
  }

  @Test("is written through a log with a sync at each commit")
  func pragmas() async throws {
    let store = try SQLiteDocumentStore(path: folder.file())
    let (journal, synchronous) = try await store.pool.writeWithoutTransaction { database in
      (
        try String.fetchOne(database, sql: "PRAGMA journal_mode"),
        try Int.fetchOne(database, sql: "PRAGMA synchronous")
      )
    }
    #expect(journal == "wal")
    #expect(synchronous == 2)
    try await store.close()
  }

  @Test("another program's database, and a file that is none, are refused and left as they were")
  func foreign() throws {
    let other = folder.file("other.db")
    let queue = try DatabaseQueue(path: other)
    try queue.write { try $0.execute(sql: "CREATE TABLE bookmarks (url TEXT)") }
    try queue.close()
    let text = folder.file("notes.txt")
    try Data(String(repeating: "Not a database. ", count: 100).utf8).write(to: URL(fileURLWithPath: text))
    for path in [other, text] {
      let before = try contents(path)
      #expect(openingKind(path) == .foreign)
      #expect(try contents(path) == before)
    }
  }

  @Test("of a newer schema is refused")
  func newer() async throws {
    let store = try SQLiteDocumentStore(path: folder.file())
    try await store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 99") }
    try await store.close()
    #expect(openingKind(folder.file()) == .foreign)
  }

  @Test("in a folder that does not exist is an error that names it")
  func noFolder() {
    let path = folder.file("missing/store.db")
    do {
      _ = try SQLiteDocumentStore(path: path)
      Issue.record("it was opened")
    } catch {
      #expect(error.kind == .unavailable)
      #expect(error.message.contains(path))
    }
  }

  /// What `kill -9` leaves: the files as they are while the store is open. (The system's cache outlives the process.)
  private func crashImage(of path: String, _ name: String, logBytes: Int? = nil) throws -> String {
    let copy = folder.file(name)
    try contents(path).write(to: URL(fileURLWithPath: copy))
    let log = try contents(path + "-wal")
    try (logBytes.map { log.prefix($0) } ?? log).write(to: URL(fileURLWithPath: copy + "-wal"))
    return copy
  }

  @Test("holds every commit that returned, if the process dies without closing it")
  func unclosed() async throws {
    let store = try SQLiteDocumentStore(path: folder.file())
    for index in 0..<20 {
      try await store.put(key("\(index)"), bytes("\(index)"))
      let image = try crashImage(of: store.path, "image\(index).db")
      let after = try SQLiteDocumentStore(path: image)
      #expect(try await after.query(partition: "p").documents.count == index + 1)
      #expect(try await after.get(key("\(index)"))?.body == bytes("\(index)"))
      try await after.close()
    }
    try await store.close()
  }

  @Test("torn anywhere in its log holds a beginning of the commits, each batch whole, and takes new ones")
  func tornLog() async throws {
    let store = try SQLiteDocumentStore(path: folder.file())
    for index in 100..<130 {
      var batch = Batch(partition: "p")
      for part in ["a", "b", "c"] { batch.put("\(index)/\(part)", [UInt8](repeating: 1, count: 3000)) }
      try await store.commit(batch)
    }
    let size = try contents(store.path + "-wal").count
    var counts: [Int] = []
    for step in 0...40 {
      let image = try crashImage(of: store.path, "torn\(step).db", logBytes: size * step / 40)
      let after = try SQLiteDocumentStore(path: image)
      let sorts = try await after.query(partition: "p").documents.map(\.key.sort)
      let whole = (100..<(100 + sorts.count / 3)).flatMap { index in ["a", "b", "c"].map { "\(index)/\($0)" } }
      #expect(sorts == whole)
      counts.append(sorts.count)
      let fresh = try await after.put(key("fresh"), [], if: .absent)
      #expect(try await !after.query(partition: "p").documents.dropLast().map(\.version).contains(fresh))
      try await after.close()
    }
    #expect(counts == counts.sorted() && counts.first == 0 && counts.last == 90)
    try await store.close()
  }
}
