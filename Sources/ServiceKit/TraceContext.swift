// Where a call stands in a trace: W3C Trace Context's `traceparent` ("Trace Context", w3.org/TR/trace-context). A call
// that comes with one goes on with it, any other starts one; calls onward and log lines carry it by the task-local
// value.

import CTaskLocals
import Synchronization

public struct TraceContext: Sendable, Equatable {
  /// The trace of the running call, for its log lines and the calls it makes; nil outside of any.
  @TaskLocal public static var current: TraceContext?

  private let trace: (high: UInt64, low: UInt64)
  private let span: UInt64
  private let isSampled: Bool

  private init(trace: (UInt64, UInt64), span: UInt64, isSampled: Bool) {
    self.trace = trace
    self.span = span
    self.isSampled = isSampled
  }

  /// A new trace.
  public static func start() -> TraceContext {
    var generator = SystemRandomNumberGenerator()
    return start(using: &generator)
  }

  public static func start(using generator: inout some RandomNumberGenerator) -> TraceContext {
    // All-zero ids are invalid in the standard.
    TraceContext(
      trace: (generator.next(), generator.next() | 1), span: generator.next() | 1, isSampled: true)
  }

  /// Reads a `traceparent` header. Nil if it is not valid; the standard then asks for a new trace.
  public init?(traceparent text: String) {
    var text = text
    guard let trace = text.withUTF8({ TraceContext(traceparent: UnsafeRawBufferPointer($0)) }) else { return nil }
    self = trace
  }

  /// The same from the header's bytes.
  init?(traceparent bytes: UnsafeRawBufferPointer) {
    // version "-" trace-id "-" parent-id "-" flags; later versions may add fields behind another "-".
    guard bytes.count >= 55, bytes[2] == 0x2D, bytes[35] == 0x2D, bytes[52] == 0x2D,
      let version = Self.hex(bytes, 0..<2), version != 0xFF,
      bytes.count == 55 || (version > 0 && bytes[55] == 0x2D),
      let high = Self.hex(bytes, 3..<19), let low = Self.hex(bytes, 19..<35), high | low != 0,
      let span = Self.hex(bytes, 36..<52), span != 0,
      let flags = Self.hex(bytes, 53..<55)
    else { return nil }
    self.init(trace: (high, low), span: span, isSampled: flags & 1 == 1)
  }

  /// A step of the same trace, under a span id of its own.
  public func child() -> TraceContext { TraceContext(trace: trace, span: SpanIDs.next(), isSampled: isSampled) }

  /// 32 hexadecimal digits.
  public var traceID: String { Self.digits(trace.high) + Self.digits(trace.low) }
  /// 16 hexadecimal digits.
  public var spanID: String { Self.digits(span) }
  /// The header's value.
  public var traceparent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

  public static func == (left: TraceContext, right: TraceContext) -> Bool {
    left.trace == right.trace && left.span == right.span && left.isSampled == right.isSampled
  }

  /// Of an even number of digits in lower case, up to 16.
  private static func hex(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
    var value: UInt64 = 0
    var offset = range.lowerBound
    while offset + 8 <= range.upperBound {
      guard let eight = HexDigits.value(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) else { return nil }
      value = value << 32 | eight
      offset += 8
    }
    while offset < range.upperBound {
      let digit = bytes[offset]
      let (number, letter) = (digit &- UInt8(ascii: "0"), digit &- UInt8(ascii: "a"))
      guard number <= 9 || letter <= 5 else { return nil }
      value = value << 4 | UInt64(number <= 9 ? number : letter &+ 10)
      offset += 1
    }
    return value
  }

  private static func digits(_ value: UInt64) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 16 - text.utf8.count) + text
  }
}

// MARK: The trace of a call

extension TraceContext {
  /// Makes a trace the current one of the running task until `leave`, which the same async function has to call: the two
  /// nest as calls do. `$current.withValue` does the same around a closure, but that closure hops to another executor and
  /// back, and an interceptor beside a call has none: for a small call it cost a tenth of all work.
  static func enter(_ trace: TraceContext) {
    var value = Optional(trace)
    pushTaskLocalValue(key, &value, valueType)
  }

  static func leave() { popTaskLocalValue() }

  // By these the runtime knows the value.
  private static var key: UnsafeRawPointer { unsafeBitCast($current, to: UnsafeRawPointer.self) }
  private static var valueType: UnsafeRawPointer {
    unsafeBitCast(TraceContext?.self as Any.Type, to: UnsafeRawPointer.self)
  }
}

/// Span ids: unique, and no secret, so the system is asked for randomness once and not for each (SplitMix64).
private enum SpanIDs {
  private static let state = Atomic<UInt64>(.random(in: .min ... .max))

  static func next() -> UInt64 {
    var value = state.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    value ^= value >> 31
    // All zeros is invalid in the standard.
    return value == 0 ? 1 : value
  }
}

/// Eight hexadecimal digits at once, a byte of a word each.
private enum HexDigits {
  private static let ones: UInt64 = 0x0101_0101_0101_0101

  /// Of digits as they lie in memory; nil if one is no digit in lower case.
  static func value(_ raw: UInt64) -> UInt64? {
    let text = UInt64(bigEndian: raw)
    // A letter is told from a number by its bit 6, and is 9 more than its low half.
    let nibbles = (text & (ones &* 0x0F)) &+ ((text >> 6) & ones) &* 9
    // Written out again it must be what it was.
    let letters = ((nibbles &+ ones &* 6) >> 4) & ones
    guard nibbles & (ones &* 0xF0) == 0, nibbles &+ ones &* 0x30 &+ letters &* 0x27 == text else { return nil }
    var value = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF
    value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
    return (value | value >> 16) & 0xFFFF_FFFF
  }
}
