// The Huffman code of header strings (RFC 7541 section 5.2 and appendix B). The code is canonical, so the lengths of its
// symbols are all there is to know of it.

/// A struct of pointers, which nobody has to retain. Its tables are never changed or freed, which makes `@unchecked Sendable`
/// true.
struct HuffmanCode: @unchecked Sendable {
  static let shared = HuffmanCode()

  /// Bits of each byte's code and, last, of the end of the string, which may not occur in it (RFC 7541 appendix B).
  private static let lengths: [UInt8] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
  ]
  private static let maxLength = 30
  private static let endOfString = 256

  /// Codes of up to as many bits are looked up at once: all but the rarest of what header fields hold.
  private static let quickBits = 9

  /// By the next `quickBits` bits: a symbol and, in the high byte, its length; zero for longer codes.
  private let quick: UnsafePointer<UInt16>
  /// By length: the first code, how many there are, and where their symbols begin in `symbols`.
  private let groups: UnsafePointer<(first: Int, count: Int, start: Int)>
  private let symbols: UnsafePointer<Int>

  private init() {
    let quick = UnsafeMutablePointer<UInt16>.allocate(capacity: 1 << Self.quickBits)
    quick.initialize(repeating: 0, count: 1 << Self.quickBits)
    var groups: [(first: Int, count: Int, start: Int)] = []
    var symbols: [Int] = []
    var code = 0
    for length in 0...Self.maxLength {
      code <<= 1
      let members = Self.lengths.indices.filter { Int(Self.lengths[$0]) == length }
      groups.append((code, members.count, symbols.count))
      symbols += members
      for symbol in members {
        if length <= Self.quickBits {
          let free = Self.quickBits - length
          for rest in 0..<1 << free { quick[code << free | rest] = UInt16(length << 8 | symbol) }
        }
        code += 1
      }
    }
    self.quick = UnsafePointer(quick)
    self.groups = Self.keep(groups)
    self.symbols = Self.keep(symbols)
  }

  private static func keep<Element>(_ elements: [Element]) -> UnsafePointer<Element> {
    let memory = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
    memory.initialize(from: elements, count: elements.count)
    return UnsafePointer(memory)
  }

  /// Bytes that a coded string decodes to at most: the shortest code has 5 bits.
  static func maxDecoded(_ coded: Int) -> Int { coded * 8 / 5 + 1 }

  /// Decodes a string to `target`, which has room for `maxDecoded` bytes. Nil if the coding is wrong: the end of the string
  /// inside it, or a padding of more than seven bits or of others than ones.
  func decode(_ coded: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) -> Int? {
    var written = 0
    var position = 0
    /// The next bits, lowest last, and how many there are.
    var window: UInt64 = 0
    var bits = 0
    while true {
      if bits <= 32, position + 4 <= coded.count {
        window = window << 32 | UInt64(UInt32(bigEndian: coded.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
        position += 4
        bits += 32
      } else {
        while bits <= 32, position < coded.count {
          window = window << 8 | UInt64(coded[position])
          position += 1
          bits += 8
        }
      }
      if bits == 0 { return written }
      let shift = bits - Self.quickBits
      // Beyond the end come ones, as in the padding.
      let next =
        shift >= 0 ? window &>> UInt64(truncatingIfNeeded: shift) : window << UInt64(-shift) | (1 << UInt64(-shift) - 1)
      let entry = Int(quick[Int(next & (1 << UInt64(Self.quickBits) - 1))])
      let length = entry >> 8
      if length != 0, length <= bits {
        target.storeBytes(of: UInt8(truncatingIfNeeded: entry), toByteOffset: written, as: UInt8.self)
        written += 1
        bits -= length
      } else if position == coded.count, bits < 8 {
        let padding = UInt64(1) << UInt64(bits) - 1
        return window & padding == padding ? written : nil
      } else {
        guard let (symbol, length) = long(window, bits), symbol != Self.endOfString else { return nil }
        target.storeBytes(of: UInt8(symbol), toByteOffset: written, as: UInt8.self)
        written += 1
        bits -= length
      }
    }
  }

  private func long(_ window: UInt64, _ bits: Int) -> (symbol: Int, length: Int)? {
    var length = Self.quickBits + 1
    while length <= min(bits, Self.maxLength) {
      let code = Int(window >> UInt64(bits - length) & (1 << UInt64(length) - 1))
      let group = groups[length]
      if code - group.first < group.count, code >= group.first { return (symbols[group.start + code - group.first], length) }
      length += 1
    }
    return nil
  }
}
