// Reads strings. proto3 has them in UTF-8 and asks for a check of it; nearly all are ASCII, and that is seen eight
// bytes at a time.

extension WireReader {
  public mutating func string() throws(WireError) -> String {
    try expect(.lengthDelimited)
    let bytes = try slice()
    if bytes.isEmpty { return "" }
    let isASCII = bytes.isASCII
    if isASCII && bytes.count <= String.inlineCapacity {
      return String(unsafeUninitializedCapacity: bytes.count) { text in
        UnsafeMutableRawBufferPointer(text).copyMemory(from: bytes)
        return bytes.count
      }
    }
    let utf8 = bytes.assumingMemoryBound(to: UInt8.self)
    guard #available(macOS 26, *) else {
      guard let text = String(validating: utf8, as: UTF8.self) else { throw .invalidUTF8 }
      return text
    }
    // Not String(validating:), which asks for type metadata at every call: that costs more than all the rest.
    if isASCII { return String(copying: UTF8Span(unchecked: utf8.span, isKnownASCII: true)) }
    do throws(UTF8.ValidationError) {
      return String(copying: try UTF8Span(validating: utf8.span))
    } catch { throw .invalidUTF8 }
  }
}

extension String {
  /// Strings up to that many bytes have no memory of their own.
  fileprivate static var inlineCapacity: Int { 15 }
}

extension UnsafeRawBufferPointer {
  /// Eight bytes at a time; the last eight overlap those before.
  @inline(__always)
  fileprivate var isASCII: Bool {
    guard let start = baseAddress else { return true }
    guard count >= 8 else {
      guard count >= 4 else { return allSatisfy { $0 < 0x80 } }
      let (first, last) = (start.loadUnaligned(as: UInt32.self), (start + (count - 4)).loadUnaligned(as: UInt32.self))
      return (first | last) & 0x8080_8080 == 0
    }
    var seen = (start + (count - 8)).loadUnaligned(as: UInt64.self)
    var offset = 0
    while offset < count - 8 {
      seen |= (start + offset).loadUnaligned(as: UInt64.self)
      offset &+= 8
    }
    return seen & 0x8080_8080_8080_8080 == 0
  }
}
