// Tells what comes again from what comes once, by hash: only the former is worth remembering.

struct Recurrence: ~Copyable {
  /// Values whose coming is remembered.
  static let capacity = 8

  private var hashes: [UInt64] = []
  private var next = 0

  /// Whether the same bytes have come before, not long ago. Others of the same hash only count as seen too early.
  mutating func hasSeen(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let hash = Self.hash(bytes)
    if hashes.contains(hash) { return true }
    if hashes.count < Self.capacity {
      hashes.append(hash)
    } else {
      hashes[next] = hash
      next = (next + 1) % Self.capacity
    }
    return false
  }

  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(bytes.count)
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
      offset += 8
    }
    for byte in bytes[offset...] { hash = (hash ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15 }
    return hash
  }
}
