// Header fields as they came off the wire: one block of bytes and the places in it. A call has about ten of them, so
// making a String of each would cost more than all the rest of reading a request.

/// An ordered list of header fields (RFC 9113 section 8.2). Names are lower case.
public struct HTTP2Headers: Sendable, ExpressibleByDictionaryLiteral {
  struct Field {
    var nameStart: UInt32
    var nameLength: UInt32
    var valueLength: UInt32
  }

  var storage: [UInt8] = []
  var fields: [Field] = []

  public init() {}

  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { add(name, value) }
  }

  public var count: Int { fields.count }
  public var isEmpty: Bool { fields.isEmpty }

  /// Bytes of all names and values, with 32 a field: the size that SETTINGS_MAX_HEADER_LIST_SIZE limits.
  public var listSize: Int { storage.count + 32 * fields.count }

  public mutating func reserve(fields count: Int, bytes: Int) {
    fields.reserveCapacity(count)
    storage.reserveCapacity(bytes)
  }

  public mutating func add(_ name: String, _ value: String) {
    let start = storage.count
    storage.append(contentsOf: name.utf8)
    let valueStart = storage.count
    storage.append(contentsOf: value.utf8)
    fields.append(
      Field(
        nameStart: UInt32(start), nameLength: UInt32(valueStart - start),
        valueLength: UInt32(storage.count - valueStart)))
  }

  mutating func add(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
    fields.append(
      Field(
        nameStart: UInt32(storage.count), nameLength: UInt32(name.count), valueLength: UInt32(value.count)))
    storage.append(contentsOf: name)
    storage.append(contentsOf: value)
  }

  /// The first value of a name.
  public subscript(_ name: StaticString) -> String? {
    withValue(name) { String(decoding: $0, as: UTF8.self) }
  }

  /// Hands the first value of a name to `body` without copying it.
  public func withValue<R>(_ name: StaticString, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R? {
    storage.withUnsafeBufferPointer { bytes in
      for field in fields where Int(field.nameLength) == name.utf8CodeUnitCount {
        let start = Int(field.nameStart)
        let isEqual = name.withUTF8Buffer { wanted in
          UnsafeBufferPointer(rebasing: bytes[start..<start + wanted.count]).elementsEqual(wanted)
        }
        guard isEqual else { continue }
        let valueStart = start + Int(field.nameLength)
        return body(UnsafeBufferPointer(rebasing: bytes[valueStart..<valueStart + Int(field.valueLength)]))
      }
      return nil
    }
  }

  public func forEach(_ body: (_ name: String, _ value: String) -> Void) {
    for field in fields {
      let start = Int(field.nameStart)
      let valueStart = start + Int(field.nameLength)
      body(
        String(decoding: storage[start..<valueStart], as: UTF8.self),
        String(decoding: storage[valueStart..<valueStart + Int(field.valueLength)], as: UTF8.self))
    }
  }
}
