// A batch: puts, deletes and checks inside one partition that happen all together or not at all.
// Its bounds are DynamoDB's (TransactWriteItems: 100 actions; an item: 400 KB; keys: 2048 and 1024 bytes), so that what
// works on SQLite works on every store.

/// What has to hold of a document for its operation, and so for the whole batch, to be done.
public enum Condition: Sendable, Equatable {
  case none
  /// The document does not exist, or has expired.
  case absent
  /// The document exists with exactly this version.
  case version(DocumentVersion)
}

/// The writes of one partition that are applied together. Each sort key may stand in it once.
public struct Batch: Sendable, Equatable {
  /// Operations in a batch, at most.
  public static let maximumOperations = 100
  /// Bytes of a body, at most.
  public static let maximumBodySize = 400 * 1024
  /// UTF-8 bytes of a partition key, at most.
  public static let maximumPartitionSize = 2048
  /// UTF-8 bytes of a sort key, at most.
  public static let maximumSortSize = 1024

  public enum Action: Sendable, Equatable {
    case put(body: [UInt8], expiresAt: UnixMilliseconds?)
    case delete
    /// Writes nothing: the batch only holds if the condition does.
    case check
  }

  public struct Operation: Sendable, Equatable {
    public var sort: String
    public var action: Action
    public var condition: Condition
  }

  public var partition: String
  public private(set) var operations: [Operation] = []

  public init(partition: String) {
    self.partition = partition
  }

  public mutating func put(
    _ sort: String, _ body: [UInt8], if condition: Condition = .none, expiresAt: UnixMilliseconds? = nil
  ) {
    operations.append(Operation(sort: sort, action: .put(body: body, expiresAt: expiresAt), condition: condition))
  }

  public mutating func delete(_ sort: String, if condition: Condition = .none) {
    operations.append(Operation(sort: sort, action: .delete, condition: condition))
  }

  public mutating func check(_ sort: String, if condition: Condition) {
    operations.append(Operation(sort: sort, action: .check, condition: condition))
  }

  /// Adds the operations of a batch of the same partition.
  public mutating func append(contentsOf other: Batch) {
    operations.append(contentsOf: other.operations)
  }

  /// Refuses a batch that some store could not take. Every store calls it first.
  public func validate() throws(DocumentStoreError) {
    if operations.isEmpty {
      throw .invalid("The batch is empty.", nextStep: "Put at least one operation into it.")
    }
    if operations.count > Self.maximumOperations {
      throw .invalid(
        "The batch has \(operations.count) operations; a store takes \(Self.maximumOperations).",
        nextStep: "Split it into smaller batches.")
    }
    try DocumentKey.validate(partition: partition)
    // Keys are compared by bytes: Swift's String equality would take two spellings of one letter for the same key.
    var seen = Set<[UInt8]>(minimumCapacity: operations.count)
    for operation in operations {
      let key = DocumentKey(partition: partition, sort: operation.sort)
      try key.validate()
      if !seen.insert(Array(operation.sort.utf8)).inserted {
        throw .invalid("The batch names \(key) twice.", nextStep: "Name each document once in a batch.")
      }
      if case .put(let body, _) = operation.action, body.count > Self.maximumBodySize {
        throw .invalid(
          "The document \(key) has \(body.count) bytes; a store takes \(Self.maximumBodySize).",
          nextStep: "Split it into several documents.")
      }
    }
  }
}

extension DocumentKey {
  static func validate(partition: String) throws(DocumentStoreError) {
    let size = partition.utf8.count
    if size == 0 || size > Batch.maximumPartitionSize || partition.utf8.contains(0) {
      throw .invalid(
        "A partition key of \(size) bytes is empty, too long or holds a NUL.",
        nextStep: "Use 1 to \(Batch.maximumPartitionSize) bytes of UTF-8 without NUL.")
    }
  }

  static func validate(sort: String, mayBeEmpty: Bool) throws(DocumentStoreError) {
    let size = sort.utf8.count
    if (size == 0 && !mayBeEmpty) || size > Batch.maximumSortSize || sort.utf8.contains(0) {
      throw .invalid(
        "A sort key of \(size) bytes is empty, too long or holds a NUL.",
        nextStep: "Use 1 to \(Batch.maximumSortSize) bytes of UTF-8 without NUL.")
    }
  }

  /// Refuses a key that some store could not hold.
  public func validate() throws(DocumentStoreError) {
    try Self.validate(partition: partition)
    try Self.validate(sort: sort, mayBeEmpty: false)
  }
}
