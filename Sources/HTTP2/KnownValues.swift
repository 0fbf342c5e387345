// The values that a caller sends with every request and that HPACK does not index, above all its access token (RFC 7541
// section 7.1.3). They come Huffman-coded each time, and decoding a token costs more than all the rest of reading a request.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct KnownValues: ~Copyable {
  /// Shorter ones are decoded as fast as they are found.
  static let minLength = 8
  /// Longer ones are not remembered.
  static let maxLength = 2048
  /// Values that are remembered.
  static let capacity = 8

  /// As it comes and, behind that, as it is.
  private struct Value {
    var block: UnsafeMutableRawPointer
    var codedCount: Int
    var plainCount: Int
    /// It may be the value of a field that is nothing to HTTP/2.
    var isClean: Bool

    init(_ coded: UnsafeRawBufferPointer, _ plain: UnsafeRawBufferPointer) {
      block = .allocate(byteCount: coded.count + plain.count, alignment: 1)
      codedCount = coded.count
      plainCount = plain.count
      isClean = FieldRole(.plain, plain) == .plain
      if let start = coded.baseAddress { block.copyMemory(from: start, byteCount: coded.count) }
      if let start = plain.baseAddress { (block + coded.count).copyMemory(from: start, byteCount: plain.count) }
    }
  }

  private let known = UnsafeMutablePointer<Value>.allocate(capacity: capacity)
  private var count = 0
  private var nextToReplace = 0
  private var coming = Recurrence()

  deinit {
    for index in 0..<count { known[index].block.deallocate() }
    known.deallocate()
  }

  /// Appends to `target` what these bytes decode to, if that is known.
  func append(_ coded: UnsafeRawBufferPointer, to target: inout ByteQueue, _ isClean: inout Bool) -> Bool {
    guard let start = coded.baseAddress else { return false }
    for index in 0..<count where known[index].codedCount == coded.count {
      let value = known + index
      guard memcmp(value.pointee.block, start, coded.count) == 0 else { continue }
      target.append(
        UnsafeRawBufferPointer(start: value.pointee.block + coded.count, count: value.pointee.plainCount))
      isClean = value.pointee.isClean
      return true
    }
    return false
  }

  /// The second time that a value comes, it is kept.
  mutating func learn(_ coded: UnsafeRawBufferPointer, _ plain: UnsafeRawBufferPointer) {
    guard coming.hasSeen(coded) else { return }
    let value = Value(coded, plain)
    if count < Self.capacity {
      (known + count).initialize(to: value)
      count += 1
    } else {
      known[nextToReplace].block.deallocate()
      known[nextToReplace] = value
      nextToReplace = (nextToReplace + 1) % Self.capacity
    }
  }
}
