// Queries: the order of bytes, prefixes with anything in them, both directions, and pages.

import DocumentStore
import Testing

@testable import DocumentStore

@Suite("A query")
struct QueryTests {
  let fixture: TemporaryStore
  var store: SQLiteDocumentStore { fixture.store }

  init() throws { fixture = try TemporaryStore() }

  /// Keys that a LIKE, a case-blind or a Unicode-normalising comparison would mix up.
  static let keys = [
    "a", "a%", "a%b", "a_", "a_b", "A", "ab", "aé", "ae\u{301}", "a\u{7F}", "a\u{80}", "a\u{D7FF}", "a\u{D7FF}x",
    "a\u{E000}", "a\u{10FFFF}", "a\u{10FFFF}z", "b", "é", "\u{10FFFF}", "\u{10FFFF}\u{10FFFF}", "!", "/", "*", "[a-z]",
  ]

  private func fill() async throws {
    for sort in Self.keys { try await store.put(key(sort), bytes(sort)) }
    try await store.put(key("a", in: "p2"), bytes("elsewhere"))
  }

  @Test("gives exactly the keys with the prefix, in the order of their bytes", arguments: [""] + keys)
  func prefixes(prefix: String) async throws {
    try await fill()
    let expected = Self.keys.map { Array($0.utf8) }.filter { $0.starts(with: prefix.utf8) }
      .sorted { $0.lexicographicallyPrecedes($1) }
    let up = try await store.query(partition: "p", prefix: prefix)
    #expect(up.documents.map { Array($0.key.sort.utf8) } == expected)
    #expect(up.documents.map(\.body) == expected)
    #expect(up.next == nil)
    let down = try await store.query(partition: "p", prefix: prefix, order: .descending, limit: 1000, after: nil)
    #expect(down.documents.map(\.body) == expected.reversed())
  }

  @Test("pages join without a gap or a repeat in both orders", arguments: [QueryOrder.ascending, .descending])
  func pages(order: QueryOrder) async throws {
    try await fill()
    let whole = try await store.query(partition: "p", prefix: "a", order: order, limit: 1000, after: nil).documents
    for limit in [1, 2, 3, whole.count - 1, whole.count] {
      var joined: [Document] = []
      var token: PageToken?
      repeat {
        let page = try await store.query(partition: "p", prefix: "a", order: order, limit: limit, after: token)
        #expect(page.documents.count <= limit)
        joined += page.documents
        token = page.next
      } while token != nil
      #expect(joined == whole)
    }
  }

  @Test("a page goes on after a key that was deleted meanwhile")
  func deletedBetweenPages() async throws {
    for sort in ["1", "2", "3"] { try await store.put(key(sort), []) }
    let first = try await store.query(partition: "p", limit: 2)
    try await store.delete(key("2"))
    #expect(try await store.query(partition: "p", after: first.next).documents.map(\.key.sort) == ["3"])
  }

  @Test("a page of large documents is cut at its bound of bytes")
  func pageBytes() async throws {
    let body = [UInt8](repeating: 1, count: Batch.maximumBodySize)
    for index in 0..<5 { try await store.put(key("\(index)"), body) }
    let page = try await store.query(partition: "p")
    #expect(page.documents.count == 3)
    #expect(try await store.query(partition: "p", after: page.next).documents.count == 2)
  }

  @Test("a token the store never gave, and a limit out of bounds, are refused")
  func badArguments() async throws {
    for token in ["", "***", "/w==", "AA=="] {
      let refused = await kind { () throws(DocumentStoreError) in
        _ = try await store.query(partition: "p", after: PageToken(rawValue: token))
      }
      #expect(refused == .invalid, "\(token)")
    }
    for limit in [0, -1, PageBounds.maximumDocuments + 1] {
      let refused = await kind { () throws(DocumentStoreError) in
        _ = try await store.query(partition: "p", limit: limit)
      }
      #expect(refused == .invalid)
    }
  }
}
