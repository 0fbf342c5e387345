// A store on a file of its own under the system's temporary folder, a clock that is set by hand, and a way to hold the
// writer so that commits pile up by rule and not by luck.

import Dispatch
import DocumentStore
import Foundation
import GRDB
import Synchronization

@testable import DocumentStore

final class HandClock: Sendable {
  private let value = Mutex<UnixMilliseconds>(1_000_000)

  var now: UnixMilliseconds {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("documents-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String = "store.db") -> String { "\(path)/\(name)" }
}

struct TemporaryStore {
  let folder: TemporaryFolder
  let clock = HandClock()
  let store: SQLiteDocumentStore

  init() throws {
    folder = try TemporaryFolder()
    let clock = clock
    store = try SQLiteDocumentStore(path: folder.file(), now: { clock.now })
  }
}

extension SQLiteDocumentStore {
  /// Keeps the writer's thread busy until the returned closure is called.
  func holdWriter() -> () -> Void {
    let gate = DispatchSemaphore(value: 0)
    pool.asyncWriteWithoutTransaction { _ in gate.wait() }
    return { gate.signal() }
  }

  func waitForQueue(of count: Int) async {
    while queue.count < count { await Task.yield() }
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func key(_ sort: String, in partition: String = "p") -> DocumentKey { DocumentKey(partition: partition, sort: sort) }

/// The error kind a call threw; nil if it did not throw.
func kind(_ call: () async throws(DocumentStoreError) -> Void) async -> DocumentStoreError.Kind? {
  do { try await call(); return nil } catch { return error.kind }
}
