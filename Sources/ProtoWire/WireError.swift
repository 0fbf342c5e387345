// Why bytes are not a valid protobuf message. Raised by WireReader alone: writing cannot fail.

/// A malformed message. Source: the protobuf encoding guide ("Encoding", protobuf.dev) and its size limits.
public enum WireError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The bytes end inside a value.
  case truncated
  /// A varint of more than 10 bytes.
  case varintTooLong
  /// A tag with field number 0 or above 2^29 - 1, or wire type 6 or 7.
  case invalidTag
  /// A field arrived with a wire type that its declaration does not allow; readers keep it as an unknown field.
  case wireTypeMismatch
  /// A proto3 string that is not UTF-8.
  case invalidUTF8
  /// Messages nested deeper than `WireReader.maxDepth`, which guards the stack.
  case tooDeep
  /// An end-group tag without its start, or a group of another number.
  case unbalancedGroup

  public var description: String {
    switch self {
    case .truncated: "the message ends inside a value"
    case .varintTooLong: "a varint is longer than 10 bytes"
    case .invalidTag: "a tag has an impossible field number or wire type"
    case .wireTypeMismatch: "a field has another wire type than its declaration"
    case .invalidUTF8: "a string is not UTF-8"
    case .tooDeep: "messages are nested deeper than \(WireReader.maxDepth)"
    case .unbalancedGroup: "a group is not closed by its own end tag"
    }
  }
}

/// How a value is laid out on the wire; the low three bits of a tag.
public enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case startGroup = 3
  case endGroup = 4
  case fixed32 = 5
}
