// The seam every service keeps its state behind: the common ground of SQLite, DynamoDB and Cosmos DB, and no more.
// Secondary indexes are the caller's: documents of their own in an index partition.

/// An opaque mark of where a page ended. It is safe to hand to clients: used with another query it only moves the
/// start.
public struct PageToken: RawRepresentable, Hashable, Sendable {
  public var rawValue: String

  public init(rawValue: String) {
    self.rawValue = rawValue
  }
}

public struct DocumentPage: Sendable, Equatable {
  public var documents: [Document]
  /// Where to go on; nil at the end. A page may be shorter than asked for and still have a next one.
  public var next: PageToken?

  public init(documents: [Document], next: PageToken?) {
    self.documents = documents
    self.next = next
  }
}

public enum QueryOrder: Sendable {
  case ascending, descending
}

/// A store of documents. Any task may call it at any time; no call is interrupted by the caller's cancellation, so that
/// clean-up code of a cancelled task can still read and write.
public protocol DocumentStore: Sendable {
  /// The document, or nil if there is none or it has expired. Sees every commit that returned before.
  func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document?

  /// The documents of a partition whose sort key starts with `prefix`, by the bytes of their sort keys.
  /// A page holds at most `limit` (1 to `PageBounds.maximumDocuments`) documents and about `PageBounds.maximumBytes`.
  func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage

  /// Applies the batch entirely or not at all, durably before it returns. One version for each operation, in their
  /// order: a put's new version, a check's found version (0 if absent), 0 for a delete.
  @discardableResult
  func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion]

  /// Removes up to `limit` expired documents, and says how many. A store that sweeps by itself returns 0.
  @discardableResult
  func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int
}

/// The bounds of a page, on every store.
public enum PageBounds {
  public static let maximumDocuments = 1000
  /// DynamoDB's own bound of a Query's page.
  public static let maximumBytes = 1024 * 1024
}

extension DocumentStore {
  /// The usual query: ascending, from the start.
  public func query(
    partition: String, prefix: String = "", limit: Int = PageBounds.maximumDocuments, after: PageToken? = nil
  ) async throws(DocumentStoreError) -> DocumentPage {
    try await query(partition: partition, prefix: prefix, order: .ascending, limit: limit, after: after)
  }

  /// One put as a batch of its own.
  @discardableResult
  public func put(
    _ key: DocumentKey, _ body: [UInt8], if condition: Condition = .none, expiresAt: UnixMilliseconds? = nil
  ) async throws(DocumentStoreError) -> DocumentVersion {
    var batch = Batch(partition: key.partition)
    batch.put(key.sort, body, if: condition, expiresAt: expiresAt)
    return try await commit(batch)[0]
  }

  /// One delete as a batch of its own. Deleting what is not there is no error unless the condition makes it one.
  public func delete(_ key: DocumentKey, if condition: Condition = .none) async throws(DocumentStoreError) {
    var batch = Batch(partition: key.partition)
    batch.delete(key.sort, if: condition)
    _ = try await commit(batch)
  }
}
