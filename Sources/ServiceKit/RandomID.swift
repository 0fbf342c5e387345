// Identifiers that sort by the time they were made: ULIDs (github.com/ulid/spec), 48 bits of milliseconds and 80 random
// bits in Crockford's base 32, under a prefix that says what they name. Also base64url, as tokens and keys are written.
import DocumentStore

public enum RandomID {
  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  /// "dlv_01JDHZ8W9FPT3AVXQ2M0Y8K6RN" for the prefix "dlv_".
  public static func make(prefix: String = "") -> String {
    // SystemRandomNumberGenerator is the kernel's getrandom on Linux: cryptographically secure.
    var generator = SystemRandomNumberGenerator()
    return make(prefix: prefix, at: SystemTime.now(), using: &generator)
  }

  /// The same with time and randomness that a test rules.
  public static func make(
    prefix: String = "", at time: UnixMilliseconds, using generator: inout some RandomNumberGenerator
  ) -> String {
    let time = UInt64(max(0, time)) & 0xFFFF_FFFF_FFFF
    let high = UInt64(generator.next() as UInt16)
    let low: UInt64 = generator.next()
    // 128 bits as two words; 26 characters hold 130, so the first one has only three bits.
    let words: (UInt64, UInt64) = (time << 16 | high, low)
    let text = String(unsafeUninitializedCapacity: 26) { buffer in
      for index in 0..<26 {
        let shift = (25 - index) * 5
        let bits =
          if shift >= 64 {
            words.0 >> UInt64(shift - 64)
          } else if shift > 59 {
            words.0 << UInt64(64 - shift) | words.1 >> UInt64(shift)
          } else {
            words.1 >> UInt64(shift)
          }
        buffer[index] = alphabet[Int(bits & 31)]
      }
      return 26
    }
    return prefix + text
  }
}

/// Random bytes for secrets; a closure so that a test can rule them.
public typealias RandomBytes = @Sendable (_ count: Int) -> [UInt8]

public enum SystemRandom {
  /// From the kernel's generator.
  public static let bytes: RandomBytes = { count in
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  }
}

/// Base64url without padding (RFC 4648 section 5), the spelling of JSON Web Tokens and of this system's secrets.
public enum Base64URL {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var output: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        output.append(alphabet[Int(bits >> UInt32(count) & 63)])
      }
    }
    if count > 0 { output.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
    return String(decoding: output, as: UTF8.self)
  }

  /// Nil if a character is outside the alphabet, the length is impossible, or spare bits are set: each value has
  /// exactly one spelling.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(text.utf8.count * 3 / 4)
    var bits: UInt32 = 0
    var count = 0
    for character in text.utf8 {
      let value: UInt8
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
      case UInt8(ascii: "-"): value = 62
      case UInt8(ascii: "_"): value = 63
      default: return nil
      }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    guard count < 6, bits & ((1 << UInt32(count)) - 1) == 0 else { return nil }
    return output
  }
}
