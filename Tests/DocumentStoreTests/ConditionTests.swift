// Puts, deletes, checks and their conditions: a batch happens as a whole or not at all.

import DocumentStore
import Testing

@Suite("A batch")
struct ConditionTests {
  let fixture: TemporaryStore
  var store: SQLiteDocumentStore { fixture.store }

  init() throws { fixture = try TemporaryStore() }

  @Test("a document is read back as it was put, with a version that changes at each write")
  func putAndGet() async throws {
    let first = try await store.put(key("a"), [0, 1, 255])
    #expect(try await store.get(key("a")) == Document(key: key("a"), version: first, body: [0, 1, 255]))
    let second = try await store.put(key("a"), [])
    #expect(second != first)
    #expect(try await store.get(key("a"))?.body == [])
    #expect(try await store.get(key("b")) == nil)
    #expect(try await store.get(key("a", in: "other")) == nil)
  }

  @Test("a version is not used again after a delete, so that an old holder's write is refused")
  func versionsAreNotReused() async throws {
    let first = try await store.put(key("a"), bytes("1"))
    try await store.delete(key("a"))
    let second = try await store.put(key("a"), bytes("2"), if: .absent)
    #expect(first != second)
    let stale = await kind { () throws(DocumentStoreError) in
      try await store.put(key("a"), bytes("3"), if: .version(first))
    }
    #expect(stale == .conflict(key("a")))
    #expect(try await store.get(key("a"))?.body == bytes("2"))
  }

  @Test("each condition holds exactly when it says", arguments: [true, false])
  func conditions(exists: Bool) async throws {
    let version = exists ? try await store.put(key("a"), bytes("old")) : 77
    let absent = await kind { () throws(DocumentStoreError) in try await store.put(key("a"), [], if: .absent) }
    #expect(absent == (exists ? .conflict(key("a")) : nil))
    if !exists { try await store.delete(key("a")) }
    let matching = await kind { () throws(DocumentStoreError) in
      try await store.delete(key("a"), if: .version(version))
    }
    #expect(matching == (exists ? nil : .conflict(key("a"))))
    // Without a condition a delete of what is not there is no error.
    try await store.delete(key("a"))
  }

  @Test("one failed condition leaves every operation of its batch undone")
  func allOrNothing() async throws {
    try await store.put(key("taken"), bytes("old"))
    var batch = Batch(partition: "p")
    batch.put("first", bytes("1"))
    batch.delete("taken")
    batch.put("last", bytes("2"), if: .version(12345))
    let copy = batch
    let failure = await kind { () throws(DocumentStoreError) in try await store.commit(copy) }
    #expect(failure == .conflict(key("last")))
    #expect(try await store.get(key("first")) == nil)
    #expect(try await store.get(key("taken"))?.body == bytes("old"))
  }

  @Test("a check writes nothing and guards its batch")
  func check() async throws {
    let fence = try await store.put(key("fence"), bytes("me"))
    var batch = Batch(partition: "p")
    batch.check("fence", if: .version(fence))
    batch.put("work", bytes("1"))
    batch.check("nobody", if: .absent)
    let versions = try await store.commit(batch)
    #expect(versions[0] == fence && versions[2] == 0)
    #expect(try await store.get(key("fence"))?.version == fence)
    try await store.put(key("fence"), bytes("other"))
    let copy = batch
    let refused = await kind { () throws(DocumentStoreError) in try await store.commit(copy) }
    #expect(refused == .conflict(key("fence")))
    #expect(try await store.get(key("work"))?.version == versions[1])
  }

  @Test("what some store could not take is refused before anything is written")
  func bounds() async throws {
    var tooMany = Batch(partition: "p")
    for index in 0...Batch.maximumOperations { tooMany.put("k\(index)", []) }
    var twice = Batch(partition: "p")
    twice.put("a", [])
    twice.delete("a")
    var big = Batch(partition: "p")
    big.put("a", [UInt8](repeating: 1, count: Batch.maximumBodySize + 1))
    var long = Batch(partition: "p")
    long.put(String(repeating: "k", count: Batch.maximumSortSize + 1), [])
    var nul = Batch(partition: "p")
    nul.put("a\0b", [])
    var nameless = Batch(partition: "")
    nameless.put("a", [])
    for batch in [tooMany, twice, big, long, nul, nameless, Batch(partition: "p")] {
      let refused = await kind { () throws(DocumentStoreError) in try await store.commit(batch) }
      #expect(refused == .invalid)
    }
    #expect(try await store.query(partition: "p").documents.isEmpty)
  }

  @Test("a batch at its bounds is taken")
  func atTheBounds() async throws {
    var batch = Batch(partition: "p")
    for index in 0..<Batch.maximumOperations { batch.put("k\(index)", bytes("\(index)")) }
    #expect(Set(try await store.commit(batch)).count == Batch.maximumOperations)
    let body = [UInt8](repeating: 7, count: Batch.maximumBodySize)
    try await store.put(key("big"), body)
    #expect(try await store.get(key("big"))?.body == body)
  }

  @Test("an expired document is gone for get, query and conditions, and a sweep removes it")
  func expiry() async throws {
    let soon = fixture.clock.now + 10
    for index in 0..<5 { try await store.put(key("e\(index)"), [], expiresAt: soon) }
    let stays = try await store.put(key("stays"), [])
    #expect(try await store.query(partition: "p").documents.count == 6)
    #expect(try await store.sweepExpired(limit: 100) == 0)
    fixture.clock.now = soon
    #expect(try await store.get(key("e0")) == nil)
    #expect(try await store.query(partition: "p").documents.map(\.version) == [stays])
    let renewed = try await store.put(key("e0"), bytes("new"), if: .absent)
    #expect(try await store.get(key("e0"))?.version == renewed)
    #expect(try await store.sweepExpired(limit: 3) == 3)
    #expect(try await store.sweepExpired(limit: 3) == 1)
    #expect(try await store.query(partition: "p").documents.map(\.key.sort) == ["e0", "stays"])
  }
}
