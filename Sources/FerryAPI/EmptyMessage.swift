// What two lines of codec would be the same for: messages without fields, and repeated enumerations.
import ProtoWire

/// A message that declares no fields. What it may gain later is kept as unknown.
public protocol EmptyMessage: Message {}

extension EmptyMessage {
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) { try reader.skip() }
  public func encode(to writer: inout WireWriter) {}
}

extension WireReader {
  /// A repeated enumeration, packed or not.
  mutating func enumerations<E: ProtoEnum>(into values: inout [E]) throws(WireError) {
    try repeated(&values) { (reader: inout WireReader) throws(WireError) -> E in try reader.enumeration() }
  }
}
