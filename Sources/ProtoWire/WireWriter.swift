// Writes protobuf's wire format into one block of memory that grows: varints, tags, lengths. Which fields are written,
// and as what, is in FieldWriting.swift.

/// A growing block of encoded fields.
public struct WireWriter: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var count: Int
  /// Whether the block is this writer's to free.
  @usableFromInline var isOwned = true

  /// - Parameter prefix: bytes to leave free at the start, for the caller's framing.
  public init(prefix: Int = 0, capacity: Int = 256) {
    let size = max(capacity, prefix, 16)
    base = .allocate(byteCount: size, alignment: 8)
    self.capacity = size
    count = prefix
  }

  /// Begins in memory that the caller lends for the writer's whole life; what does not fit there moves to a block of
  /// its own.
  @usableFromInline
  init(in scratch: UnsafeMutableRawBufferPointer) {
    base = scratch.baseAddress ?? .allocate(byteCount: 16, alignment: 8)
    capacity = scratch.baseAddress == nil ? 16 : scratch.count
    isOwned = scratch.baseAddress == nil
    count = 0
  }

  deinit {
    if isOwned { base.deallocate() }
  }

  /// Empties the block but keeps its memory, for the next message.
  @inlinable public mutating func reset(prefix: Int = 0) { count = prefix }

  @inlinable public var byteCount: Int { count }
  public var capacityInBytes: Int { capacity }

  /// Gives its block away, if that is its own, and begins with another. Whoever takes it frees it with `deallocate`.
  /// - Parameter most: bytes of the new block, which is no larger than the old one.
  /// - Returns: the block, its capacity, and the bytes that it holds.
  public mutating func surrender(keeping most: Int) -> (block: UnsafeMutableRawPointer, capacity: Int, count: Int)? {
    guard isOwned else { return nil }
    defer {
      capacity = max(16, min(capacity, most))
      base = .allocate(byteCount: capacity, alignment: 8)
      count = 0
    }
    return (base, capacity, count)
  }

  @inlinable
  public borrowing func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Writes into the space left free at the start.
  public mutating func overwrite(at offset: Int, with bytes: (UInt8, UInt32)) {
    precondition(offset >= 0 && offset + 5 <= count)
    base.storeBytes(of: bytes.0, toByteOffset: offset, as: UInt8.self)
    base.storeBytes(of: bytes.1.bigEndian, toByteOffset: offset + 1, as: UInt32.self)
  }

  /// Most messages fit in that many bytes of the stack.
  @usableFromInline static var scratchSize: Int { 1024 }

  /// Up to that many bytes a full block is replaced by one four times as large, and by one twice as large from there.
  private static var fastGrowth: Int { 1 << 18 }

  // MARK: Raw values

  @inlinable
  mutating func reserve(_ bytes: Int) {
    if capacity - count < bytes { grow(bytes) }
  }

  @usableFromInline
  mutating func grow(_ bytes: Int) {
    let size = max(capacity * (capacity < Self.fastGrowth ? 4 : 2), count + bytes)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    larger.copyMemory(from: base, byteCount: count)
    if isOwned { base.deallocate() }
    base = larger
    isOwned = true
    capacity = size
  }

  /// The longest varint, in bytes.
  @usableFromInline static var maxVarint: Int { 10 }

  public mutating func varint(_ value: UInt64) {
    reserve(Self.maxVarint)
    var end = base + count
    Self.put(varint: value, at: &end)
    count = end - base
  }

  @inlinable
  static func tag(_ field: Int, _ type: WireType) -> UInt64 { UInt64(field) << 3 | UInt64(type.rawValue) }

  @inlinable
  public mutating func tag(_ field: Int, _ type: WireType) { varint(Self.tag(field, type)) }

  @usableFromInline
  mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    reserve(bytes.count)
    if let start = bytes.baseAddress { Self.put(start, bytes.count, at: base + count) }
    count += bytes.count
  }

  @inlinable
  mutating func littleEndian32(_ value: UInt32) {
    reserve(4)
    base.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt32.self)
    count += 4
  }

  @inlinable
  mutating func littleEndian64(_ value: UInt64) {
    reserve(8)
    base.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt64.self)
    count += 8
  }

  /// Begins a length-delimited value whose length is known only afterwards. One byte is kept for it; a longer value is
  /// moved up, which costs less than measuring every message twice.
  /// - Returns: what `endDelimited` must be given.
  @usableFromInline
  mutating func beginDelimited(tag: UInt64) -> Int {
    reserve(Self.maxVarint + 1)
    var end = base + count
    Self.put(varint: tag, at: &end)
    count = end - base + 1
    return count
  }

  @usableFromInline
  mutating func endDelimited(_ start: Int) {
    let length = count - start
    guard length >= 0x80 else {
      base.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: start - 1, as: UInt8.self)
      return
    }
    var extra = 1
    while length >> (7 * (extra + 1)) != 0 { extra += 1 }
    reserve(extra)
    (base + start + extra).copyMemory(from: base + start, byteCount: length)
    var end = base + start - 1
    Self.put(varint: UInt64(length), at: &end)
    count = end - base + length
  }

  @inlinable
  mutating func delimited(_ field: Int, _ body: (inout WireWriter) -> Void) {
    let start = beginDelimited(tag: Self.tag(field, .lengthDelimited))
    body(&self)
    endDelimited(start)
  }

  // A field is written by one of these three. They are not inlined into a message's encode, of which each line only
  // looks for the default and joins number and type.

  @usableFromInline
  mutating func append(tag: UInt64, varint value: UInt64) {
    reserve(2 * Self.maxVarint)
    var end = base + count
    Self.put(varint: tag, at: &end)
    Self.put(varint: value, at: &end)
    count = end - base
  }

  @usableFromInline
  mutating func append(tag: UInt64, text value: String) {
    let written: Void? = value.utf8.withContiguousStorageIfAvailable {
      put(tag: tag, delimited: UnsafeRawBufferPointer($0))
    }
    if written != nil { return }
    var copy = value  // a bridged or sliced string; this makes it contiguous
    copy.withUTF8 { append(tag: tag, delimited: UnsafeRawBufferPointer($0)) }
  }

  @usableFromInline
  mutating func append(tag: UInt64, delimited bytes: UnsafeRawBufferPointer) { put(tag: tag, delimited: bytes) }

  @inline(__always)
  private mutating func put(tag: UInt64, delimited bytes: UnsafeRawBufferPointer) {
    reserve(2 * Self.maxVarint + bytes.count)
    var end = base + count
    Self.put(varint: tag, at: &end)
    Self.put(varint: UInt64(bytes.count), at: &end)
    if let start = bytes.baseAddress { Self.put(start, bytes.count, at: end) }
    count = end - base + bytes.count
  }

  // In these the end is the caller's own variable: after a store through a pointer a field of self is read again.

  @inline(__always)
  fileprivate static func put(varint value: UInt64, at end: inout UnsafeMutableRawPointer) {
    var rest = value
    while rest >= 0x80 {
      end.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
      end += 1
      rest >>= 7
    }
    end.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    end += 1
  }

  /// Most strings are short: two words, which may overlap, cost less than a call of memcpy.
  @inline(__always)
  fileprivate static func put(_ start: UnsafeRawPointer, _ length: Int, at target: UnsafeMutableRawPointer) {
    if length > 16 {
      target.copyMemory(from: start, byteCount: length)
    } else if length >= 8 {
      let (first, last) = (start.loadUnaligned(as: UInt64.self), (start + length - 8).loadUnaligned(as: UInt64.self))
      target.storeBytes(of: first, as: UInt64.self)
      (target + length - 8).storeBytes(of: last, as: UInt64.self)
    } else if length >= 4 {
      let (first, last) = (start.loadUnaligned(as: UInt32.self), (start + length - 4).loadUnaligned(as: UInt32.self))
      target.storeBytes(of: first, as: UInt32.self)
      (target + length - 4).storeBytes(of: last, as: UInt32.self)
    } else {
      for offset in 0..<length {
        (target + offset).storeBytes(of: (start + offset).load(as: UInt8.self), as: UInt8.self)
      }
    }
  }
}
