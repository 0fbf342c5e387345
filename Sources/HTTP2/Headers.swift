// Header fields as they came off the wire: one block of bytes that holds them one after another. A call has about ten of
// them, so making a String of each would cost more than all the rest of reading a request.
import CNghttp2

/// An ordered list of header fields (RFC 9113 section 8.2). Names are lower case.
public struct HTTP2Headers: Sendable, ExpressibleByDictionaryLiteral {
  /// Each field is its name's length, its value's length (four bytes each), the name and the value.
  @usableFromInline var storage: [UInt8] = []
  public private(set) var count = 0

  @usableFromInline static let prefixLength = 8

  public init() {}

  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { add(name, value) }
  }

  /// Fields laid out by `HeaderCollector`.
  init(records: UnsafeRawBufferPointer, count: Int) {
    storage = [UInt8](records)
    self.count = count
  }

  public var isEmpty: Bool { count == 0 }

  public mutating func add(_ name: String, _ value: String) {
    withUnsafeBytes(of: (UInt32(name.utf8.count), UInt32(value.utf8.count))) { storage.append(contentsOf: $0) }
    storage.append(contentsOf: name.utf8)
    storage.append(contentsOf: value.utf8)
    count += 1
  }

  /// Makes room for fields to come: `bytes` is the sum of their names and values.
  public mutating func reserve(fields: Int, bytes: Int) {
    storage.reserveCapacity(storage.count + bytes + fields * Self.prefixLength)
  }

  public mutating func append(_ other: HTTP2Headers) {
    storage.append(contentsOf: other.storage)
    count += other.count
  }

  /// The first value of a name.
  public subscript(_ name: StaticString) -> String? {
    withValue(name) { String(decoding: $0, as: UTF8.self) }
  }

  /// Hands the first value of a name to `body` without copying it.
  @inlinable
  public func withValue<R>(_ name: StaticString, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
    storage.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let field = Self.field(at: offset, in: bytes)
        if Self.equal(field.name, name) { return body(field.value) }
        offset = field.next
      }
      return nil
    }
  }

  /// Hands each field to `body`, valid during its call only.
  @inlinable
  public func forEachField(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
    storage.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let field = Self.field(at: offset, in: bytes)
        body(field.name, field.value)
        offset = field.next
      }
    }
  }

  public func forEach(_ body: (_ name: String, _ value: String) -> Void) {
    forEachField { body(String(decoding: $0, as: UTF8.self), String(decoding: $1, as: UTF8.self)) }
  }

  @inlinable
  static func field(
    at offset: Int, in bytes: UnsafeRawBufferPointer
  ) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, next: Int) {
    let nameLength = Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    let valueLength = Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
    let nameStart = offset + prefixLength
    let valueStart = nameStart + nameLength
    let next = valueStart + valueLength
    return (
      UnsafeRawBufferPointer(rebasing: bytes[nameStart..<valueStart]),
      UnsafeRawBufferPointer(rebasing: bytes[valueStart..<next]), next
    )
  }

  /// Whether these bytes are the name.
  @inlinable
  public static func equal(_ bytes: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
    guard bytes.count == name.utf8CodeUnitCount else { return false }
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: bytes.count)
    for index in 0..<bytes.count where bytes[index] != wanted[index] { return false }
    return true
  }

  /// The fields as nghttp2 takes them. It copies names and values, so the memory is free again after `body`.
  func withNameValues<R>(_ body: (UnsafeBufferPointer<nghttp2_nv>) -> R) -> R {
    storage.withUnsafeBytes { bytes in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(1, count)) { pairs in
        fill(pairs, from: bytes, flags: NGHTTP2_NV_FLAG_NONE.rawValue)
        return body(UnsafeBufferPointer(rebasing: pairs[0..<count]))
      }
    }
  }

  /// The same with each field changed by `prepare`, which is told how many bytes all of them have.
  func withNameValues<R>(
    preparing prepare: (inout nghttp2_nv, Int) -> Void, _ body: (UnsafeBufferPointer<nghttp2_nv>) -> R
  ) -> R {
    storage.withUnsafeBytes { bytes in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(1, count)) { pairs in
        fill(pairs, from: bytes, flags: NGHTTP2_NV_FLAG_NONE.rawValue)
        for index in 0..<count { prepare(&pairs[index], bytes.count) }
        return body(UnsafeBufferPointer(rebasing: pairs[0..<count]))
      }
    }
  }

  fileprivate func fill(
    _ pairs: UnsafeMutableBufferPointer<nghttp2_nv>, from bytes: UnsafeRawBufferPointer, flags: UInt32
  ) {
    var offset = 0
    for index in 0..<count {
      let field = Self.field(at: offset, in: bytes)
      // nghttp2 reads through these pointers only; its struct has no const for them.
      pairs[index] = nghttp2_nv(
        name: Self.mutable(field.name), value: Self.mutable(field.value), namelen: field.name.count,
        valuelen: field.value.count, flags: UInt8(flags))
      offset = field.next
    }
  }

  private static func mutable(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<UInt8>? {
    UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
  }
}

/// Header fields that are sent again and again, as nghttp2 takes them: for constants, because their memory is never given
/// back. It stays where it is, so nghttp2 need not copy it though frames may wait for the socket, and nobody has to retain it.
/// It is never written after `init`, which makes `@unchecked Sendable` true.
public struct PreparedHeaders: @unchecked Sendable {
  let fields: UnsafeBufferPointer<nghttp2_nv>

  public init(_ headers: HTTP2Headers) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, headers.storage.count), alignment: 1)
    bytes.copyBytes(from: headers.storage)
    let pairs = UnsafeMutableBufferPointer<nghttp2_nv>.allocate(capacity: max(1, headers.count))
    headers.fill(
      pairs, from: UnsafeRawBufferPointer(bytes),
      flags: NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
    fields = UnsafeBufferPointer(rebasing: pairs[0..<headers.count])
  }
}

/// Gathers the fields of one header block as HPACK yields them; its memory serves every block of a connection.
struct HeaderCollector: ~Copyable {
  private var bytes = ByteQueue()
  private(set) var count = 0
  /// Bytes of all names and values, with 32 a field: the size that SETTINGS_MAX_HEADER_LIST_SIZE limits.
  private(set) var listSize = 0
  private(set) var isTooLarge = false

  mutating func begin() {
    bytes.clear()
    count = 0
    listSize = 0
    isTooLarge = false
  }

  /// Counting goes on past the limit, keeping stops: HPACK's state must stay in step whatever the peer sends.
  mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, limit: Int) {
    listSize += name.count + value.count + 32
    guard listSize <= limit else {
      isTooLarge = true
      return
    }
    withUnsafeBytes(of: (UInt32(name.count), UInt32(value.count))) { bytes.append($0) }
    bytes.append(name)
    bytes.append(value)
    count += 1
  }

  mutating func take() -> HTTP2Headers {
    let headers = HTTP2Headers(records: bytes.readable, count: count)
    begin()
    return headers
  }
}
