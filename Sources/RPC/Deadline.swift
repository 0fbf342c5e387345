// When a call must be over, and its form on the wire, `grpc-timeout` ("Timeout" in grpc/grpc doc/PROTOCOL-HTTP2.md).
import HTTP2
import NIOCore

/// A moment on this machine's monotonic clock.
public struct Deadline: Sendable, Comparable, Hashable {
  let instant: NIODeadline

  public static func after(_ duration: Duration) -> Deadline {
    Deadline(instant: .now() + TimeAmount(clamping: duration))
  }

  /// Negative once it has passed.
  public var remaining: Duration { .nanoseconds((instant - .now()).nanoseconds) }

  public static func < (left: Deadline, right: Deadline) -> Bool { left.instant < right.instant }

  /// At most 8 digits and a unit: the finest unit that fits, rounded down, so that the far end is never later than this one.
  var headerValue: String {
    let left = max(0, (instant - .now()).nanoseconds)
    for (unit, size) in [("n", 1), ("u", 1000), ("m", 1_000_000), ("S", 1_000_000_000)] as [(String, Int64)] {
      let value = left / size
      if value < 100_000_000 { return "\(value)\(unit)" }
    }
    return "\(min(left / 3_600_000_000_000, 99_999_999))H"
  }

  /// Nil if the text is not a timeout as gRPC writes it.
  init?(headerValue text: UnsafeRawBufferPointer, from start: NIODeadline) {
    guard text.count >= 2, text.count <= 9, let unit = text.last else { return nil }
    var value: Int64 = 0
    for digit in text.dropLast() {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      value = value * 10 + Int64(digit - 0x30)
    }
    let size: Int64
    switch unit {
    case UInt8(ascii: "n"): size = 1
    case UInt8(ascii: "u"): size = 1000
    case UInt8(ascii: "m"): size = 1_000_000
    case UInt8(ascii: "S"): size = 1_000_000_000
    case UInt8(ascii: "M"): size = 60_000_000_000
    case UInt8(ascii: "H"): size = 3_600_000_000_000
    default: return nil
    }
    let (nanoseconds, overflow) = value.multipliedReportingOverflow(by: size)
    self.init(instant: start + .nanoseconds(overflow ? .max / 2 : min(nanoseconds, .max / 2)))
  }

  init(instant: NIODeadline) { self.instant = instant }
}
