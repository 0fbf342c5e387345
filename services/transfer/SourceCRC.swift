// The cyclic redundancy checks that storage providers state for objects ("Checking object integrity", Amazon S3 User Guide):
// sixteen bytes a step by tables ("slicing"), and the check of two pieces put together from theirs without their bytes, so
// that pieces may be read in any order. All three are reflected, and begin and end with all bits turned.

struct SourceCRC: Sendable {
  /// CRC-32/ISO-HDLC, as zlib's.
  static let crc32 = SourceCRC(width: 32, polynomial: 0x04C1_1DB7)
  /// CRC-32/ISCSI, Castagnoli's.
  static let crc32c = SourceCRC(width: 32, polynomial: 0x1EDC_6F41)
  /// CRC-64/NVME.
  static let crc64NVME = SourceCRC(width: 64, polynomial: 0xAD93_D235_94C9_3659)

  private let width: Int
  /// The lowest bit stands for the highest power.
  private let polynomial: UInt64
  private let ones: UInt64
  /// Table k at 256 * k: the check of a byte that k zero bytes follow.
  private let tables: [UInt64]

  /// Each is made once, as a static: the tables take a millisecond and 32 KiB.
  private init(width: Int, polynomial: UInt64) {
    self.width = width
    let reflected = (0..<width).reduce(UInt64(0)) { $0 | (polynomial >> $1 & 1) << (width - 1 - $1) }
    self.polynomial = reflected
    ones = UInt64.max >> (64 - width)
    var tables = [UInt64](repeating: 0, count: 256 * 16)
    for byte in 0..<256 {
      tables[byte] = (0..<8).reduce(UInt64(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ reflected : value >> 1 }
    }
    for index in 256..<tables.count {
      let before = tables[index - 256]
      tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
    }
    self.tables = tables
  }

  /// The check of these bytes, or of those before, whose check is `before`, and these.
  func checksum(_ bytes: UnsafeRawBufferPointer, after before: UInt64 = 0) -> UInt64 {
    tables.withUnsafeBufferPointer { tables in
      guard let start = bytes.baseAddress, let table = tables.baseAddress else { return before }
      var crc = before ^ ones
      var offset = 0
      let last = bytes.count &- 16
      while offset <= last {
        let first = crc ^ UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let second = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
        let a = table[3840 &+ Int(truncatingIfNeeded: first & 0xFF)]
          ^ table[3584 &+ Int(truncatingIfNeeded: first &>> 8 & 0xFF)]
          ^ table[3328 &+ Int(truncatingIfNeeded: first &>> 16 & 0xFF)]
          ^ table[3072 &+ Int(truncatingIfNeeded: first &>> 24 & 0xFF)]
        let b = table[2816 &+ Int(truncatingIfNeeded: first &>> 32 & 0xFF)]
          ^ table[2560 &+ Int(truncatingIfNeeded: first &>> 40 & 0xFF)]
          ^ table[2304 &+ Int(truncatingIfNeeded: first &>> 48 & 0xFF)]
          ^ table[2048 &+ Int(truncatingIfNeeded: first &>> 56)]
        let c = table[1792 &+ Int(truncatingIfNeeded: second & 0xFF)]
          ^ table[1536 &+ Int(truncatingIfNeeded: second &>> 8 & 0xFF)]
          ^ table[1280 &+ Int(truncatingIfNeeded: second &>> 16 & 0xFF)]
          ^ table[1024 &+ Int(truncatingIfNeeded: second &>> 24 & 0xFF)]
        let d = table[768 &+ Int(truncatingIfNeeded: second &>> 32 & 0xFF)]
          ^ table[512 &+ Int(truncatingIfNeeded: second &>> 40 & 0xFF)]
          ^ table[256 &+ Int(truncatingIfNeeded: second &>> 48 & 0xFF)]
          ^ table[Int(truncatingIfNeeded: second &>> 56)]
        crc = a ^ b ^ c ^ d
        offset &+= 16
      }
      while offset < bytes.count {
        let byte = UInt64(start.load(fromByteOffset: offset, as: UInt8.self))
        crc = crc &>> 8 ^ table[Int(truncatingIfNeeded: (crc ^ byte) & 0xFF)]
        offset &+= 1
      }
      return crc ^ ones
    }
  }

  /// The check of two pieces one after the other, from theirs and the second's length.
  func combine(_ first: UInt64, _ second: UInt64, secondLength: Int64) -> UInt64 {
    combine(first, second, shift: shift(secondLength))
  }

  /// The same for many second pieces of one length.
  func combine(_ first: UInt64, _ second: UInt64, shift: UInt64) -> UInt64 { multiply(shift, first) ^ second }

  /// What so many bytes that follow multiply a check by: x^(8 * length), in as many steps as the length has bits.
  func shift(_ length: Int64) -> UInt64 {
    var power = one  // x^0
    var square = one >> 8  // x^8
    var rest = length
    while rest > 0 {
      if rest & 1 == 1 { power = multiply(power, square) }
      square = multiply(square, square)
      rest >>= 1
    }
    return power
  }

  private var one: UInt64 { 1 << (width - 1) }

  /// Of polynomials over GF(2), modulo that of the check.
  private func multiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
    var (product, b, bit) = (UInt64(0), b, one)
    while bit != 0 {
      if a & bit != 0 { product ^= b }
      b = b & 1 == 1 ? b >> 1 ^ polynomial : b >> 1
      bit >>= 1
    }
    return product
  }

  /// As providers write it: most significant byte first.
  func bytes(_ value: UInt64) -> [UInt8] {
    stride(from: width - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}
