// What a document store holds: a body of bytes under a partition key and a sort key, with a version that changes at
// each write. What the bytes mean (protobuf, JSON) is the caller's affair; how they are kept is the store's.

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
public typealias UnixMilliseconds = Int64

/// A value that differs from every version its document had before, also after a delete and a new put.
/// Only equality means anything: other stores than SQLite need not count upwards.
public typealias DocumentVersion = Int64

/// Where a document stands. Sort keys are ordered by their UTF-8 bytes.
public struct DocumentKey: Hashable, Sendable, CustomStringConvertible {
  public var partition: String
  public var sort: String

  public init(partition: String, sort: String) {
    self.partition = partition
    self.sort = sort
  }

  public var description: String { "\(partition) / \(sort)" }
}

/// One document as it was read.
public struct Document: Sendable, Equatable {
  public var key: DocumentKey
  public var version: DocumentVersion
  public var body: [UInt8]
  /// From this moment on the document is never returned and counts as absent; nil: it stays until deleted.
  public var expiresAt: UnixMilliseconds?

  public init(key: DocumentKey, version: DocumentVersion, body: [UInt8], expiresAt: UnixMilliseconds? = nil) {
    self.key = key
    self.version = version
    self.body = body
    self.expiresAt = expiresAt
  }
}
