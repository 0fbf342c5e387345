// Base64 as proto3 JSON has it: written with the standard alphabet and padding, read in either alphabet, padded or not
// (RFC 4648 sections 4 and 5).

enum Base64Text {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    var index = 0
    while index < bytes.count {
      let length = min(3, bytes.count - index)
      var bits: UInt32 = 0
      for offset in 0..<3 { bits = bits << 8 | (offset < length ? UInt32(bytes[index + offset]) : 0) }
      for position in 0..<4 {
        let value = Int(bits >> UInt32(18 - 6 * position) & 63)
        output.append(position <= length ? alphabet[value] : UInt8(ascii: "="))
      }
      index += 3
    }
  }

  /// Nil if a character is of neither alphabet, or the length is impossible.
  static func decode(_ text: [UInt8]) -> [UInt8]? {
    var body = text[...]
    if text.count % 4 == 0 {
      for _ in 0..<2 where body.last == UInt8(ascii: "=") { body.removeLast() }
    }
    guard body.count % 4 != 1 else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(body.count * 3 / 4)
    var bits: UInt32 = 0
    var count = 0
    for character in body {
      guard let value = value(character) else { return nil }
      bits = bits << 6 | value
      count += 6
      if count >= 8 {
        count -= 8
        output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return output
  }

  private static func value(_ character: UInt8) -> UInt32? {
    switch character {
    case 0x41...0x5A: UInt32(character - 0x41)
    case 0x61...0x7A: UInt32(character - 0x61 + 26)
    case 0x30...0x39: UInt32(character - 0x30 + 52)
    case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
    case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
    default: nil
    }
  }
}
