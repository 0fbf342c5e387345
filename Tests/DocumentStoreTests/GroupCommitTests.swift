// Group commit: who waits together is written together, and each caller still gets an answer of their own.

import DocumentStore
import Testing

@testable import DocumentStore

@Suite("Group commit")
struct GroupCommitTests {
  let fixture: TemporaryStore
  var store: SQLiteDocumentStore { fixture.store }

  init() throws { fixture = try TemporaryStore() }

  @Test("200 commits that wait together share one transaction")
  func oneTransaction() async throws {
    let before = store.transactions
    let letGo = store.holdWriter()
    try await withThrowingTaskGroup(of: DocumentVersion.self) { group in
      for index in 0..<200 { group.addTask { try await store.put(key("\(index)"), bytes("\(index)")) } }
      await store.waitForQueue(of: 200)
      letGo()
      var versions = Set<DocumentVersion>()
      for try await version in group { versions.insert(version) }
      #expect(versions.count == 200)
    }
    #expect(store.transactions - before == 1)
    #expect(try await store.query(partition: "p").documents.count == 200)
  }

  @Test("of a group that wants the same document one wins, the others get their conflict, and neighbours are written")
  func ownResults() async throws {
    let letGo = store.holdWriter()
    let wins = await withTaskGroup(of: Bool.self) { group in
      for index in 0..<50 {
        group.addTask {
          var batch = Batch(partition: "p")
          batch.put("mine\(index)", [])
          batch.put("wanted", bytes("\(index)"), if: .absent)
          let copy = batch
          let outcome = await kind { () throws(DocumentStoreError) in try await store.commit(copy) }
          #expect(outcome == nil || outcome == .conflict(key("wanted")))
          return outcome == nil
        }
        group.addTask {
          await kind { () throws(DocumentStoreError) in try await store.put(key("n\(index)"), []) } == nil
        }
      }
      await store.waitForQueue(of: 100)
      letGo()
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(wins == 51)
    #expect(try await store.query(partition: "p", prefix: "n").documents.count == 50)
    #expect(try await store.query(partition: "p", prefix: "mine").documents.count == 1)
  }

  @Test("a full queue refuses the next commit as overloaded, and serves those who wait")
  func overload() async throws {
    let letGo = store.holdWriter()
    let bound = SQLiteDocumentStore.maximumWaitingCommits
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<bound { group.addTask { try await store.put(key("\(index)"), []) } }
      await store.waitForQueue(of: bound)
      let refused = await kind { () throws(DocumentStoreError) in try await store.put(key("over"), []) }
      #expect(refused == .overloaded)
      letGo()
      try await group.waitForAll()
    }
    #expect(try await store.get(key("over")) == nil)
    #expect(try await store.get(key("\(bound - 1)")) != nil)
  }

  @Test("concurrent increments under a version condition lose none, also from two stores on one file")
  func increments() async throws {
    let other = try SQLiteDocumentStore(path: store.path)
    try await store.put(key("n"), bytes("0"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<20 {
        let store = index.isMultiple(of: 2) ? store : other
        group.addTask {
          while true {
            let old = try #require(try await store.get(key("n")))
            let count = try #require(Int(String(decoding: old.body, as: UTF8.self)))
            let outcome = await kind { () throws(DocumentStoreError) in
              try await store.put(key("n"), bytes("\(count + 1)"), if: .version(old.version))
            }
            if outcome == nil { return }
            try #require(outcome == .conflict(key("n")))
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await other.get(key("n"))?.body == bytes("20"))
    try await other.close()
  }

  @Test("closing serves who waits, then refuses; closing twice is no error")
  func closing() async throws {
    let letGo = store.holdWriter()
    let waiting = Task { try await store.put(key("last"), bytes("in time")) }
    await store.waitForQueue(of: 1)
    let closing = Task { try await store.close() }
    while !store.queue.isClosed { await Task.yield() }
    letGo()
    _ = try await waiting.value
    try await closing.value
    try await store.close()
    #expect(await kind { () throws(DocumentStoreError) in try await store.put(key("late"), []) } == .closed)
    #expect(await kind { () throws(DocumentStoreError) in _ = try await store.get(key("last")) } == .closed)
    let again = try SQLiteDocumentStore(path: store.path)
    #expect(try await again.get(key("last"))?.body == bytes("in time"))
    try await again.close()
  }
}
