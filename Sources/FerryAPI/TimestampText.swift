// Timestamp's conversions: milliseconds, the clock, and RFC 3339 text both ways. Calendar arithmetic is done here, so
// that no locale or time zone data is loaded for it.
import ProtoWire

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension Timestamp {
  /// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what RFC 3339 text, and so proto3 JSON, can say.
  public static let textRange: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

  public init(seconds: Int64, nanos: Int32 = 0) {
    self.init()
    self.seconds = seconds
    self.nanos = nanos
  }

  /// - Parameter milliseconds: since 1970-01-01T00:00:00Z.
  public init(milliseconds: Int64) {
    let (seconds, rest) = Self.floored(milliseconds, by: 1000)
    self.init(seconds: seconds, nanos: Int32(rest * 1_000_000))
  }

  /// Milliseconds since 1970-01-01T00:00:00Z, rounded down; the nearest that fits where Int64 cannot hold them.
  public var milliseconds: Int64 {
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    let (sum, sumOverflow) = product.addingReportingOverflow(Self.floored(Int64(nanos), by: 1_000_000).quotient)
    if overflow || sumOverflow { return seconds < 0 ? .min : .max }
    return sum
  }

  /// The system clock's time.
  public static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)  // cannot fail for this clock and a valid address
    return Timestamp(seconds: Int64(time.tv_sec), nanos: Int32(time.tv_nsec))
  }

  /// True if RFC 3339 text can say this time: years 1 to 9999, nanos below a second.
  public var isValid: Bool {
    Self.textRange.contains(seconds) && nanos >= 0 && nanos < 1_000_000_000
  }

  static func floored(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

extension Timestamp: Comparable {
  public static func < (a: Timestamp, b: Timestamp) -> Bool {
    a.seconds != b.seconds ? a.seconds < b.seconds : a.nanos < b.nanos
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC with 0, 3, 6 or 9 digits of a second: "2026-02-03T04:05:06.789Z". For a time that RFC 3339 cannot
  /// say (see `isValid`), its two numbers instead.
  public var description: String {
    guard isValid else { return "\(seconds) s + \(nanos) ns since 1970" }
    var text: [UInt8] = []
    text.reserveCapacity(30)
    appendRFC3339(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// - Precondition: `isValid`
  public func appendRFC3339(to text: inout [UInt8]) {
    let (days, secondOfDay) = Self.floored(seconds, by: 86_400)
    let (year, month, day) = Self.civil(fromDays: days)
    Self.append(year, digits: 4, to: &text)
    text.append(UInt8(ascii: "-"))
    Self.append(month, digits: 2, to: &text)
    text.append(UInt8(ascii: "-"))
    Self.append(day, digits: 2, to: &text)
    text.append(UInt8(ascii: "T"))
    Self.append(secondOfDay / 3600, digits: 2, to: &text)
    text.append(UInt8(ascii: ":"))
    Self.append(secondOfDay / 60 % 60, digits: 2, to: &text)
    text.append(UInt8(ascii: ":"))
    Self.append(secondOfDay % 60, digits: 2, to: &text)
    if nanos != 0 {
      text.append(UInt8(ascii: "."))
      if nanos % 1_000_000 == 0 {
        Self.append(Int64(nanos / 1_000_000), digits: 3, to: &text)
      } else if nanos % 1000 == 0 {
        Self.append(Int64(nanos / 1000), digits: 6, to: &text)
      } else {
        Self.append(Int64(nanos), digits: 9, to: &text)
      }
    }
    text.append(UInt8(ascii: "Z"))
  }

  private static func append(_ value: Int64, digits: Int, to text: inout [UInt8]) {
    var unit: Int64 = 1
    for _ in 1..<digits { unit *= 10 }
    while unit > 0 {
      text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / unit % 10))
      unit /= 10
    }
  }

  /// The proleptic Gregorian date of a day counted from 1970-01-01. A year is taken to begin in March, so that a leap
  /// day is its last; 400 years always have 146,097 days.
  public static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, dayOfEra) = floored(days + 719_468, by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  /// The day count of a proleptic Gregorian date; the inverse of `civil`.
  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let (era, yearOfEra) = floored(month <= 2 ? year - 1 : year, by: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

extension Timestamp {
  /// Reads RFC 3339 text ("2026-02-03T04:05:06.789Z", "2026-02-03t04:05:06+01:00"): nil if it is anything else, names a
  /// day that does not exist, has more than 9 digits of a second, or lies outside `textRange`. No leap seconds.
  public init?(rfc3339 text: String) {
    self.init(rfc3339UTF8: Array(text.utf8))
  }

  init?(rfc3339UTF8 text: [UInt8]) {
    var cursor = TextCursor(text: text)
    guard let year = cursor.number(4), cursor.take("-"), let month = cursor.number(2), cursor.take("-"),
      let day = cursor.number(2), cursor.take("T") || cursor.take("t"), let hour = cursor.number(2), cursor.take(":"),
      let minute = cursor.number(2), cursor.take(":"), let second = cursor.number(2)
    else { return nil }
    guard year >= 1, (1...12).contains(month), day >= 1, day <= Self.length(ofMonth: month, year: year), hour < 24,
      minute < 60, second < 60, let nanos = cursor.fraction(), let offset = cursor.offset(), cursor.isAtEnd
    else { return nil }
    let dayStart = Self.days(year: year, month: month, day: day) * 86_400
    self.init(seconds: dayStart + hour * 3600 + minute * 60 + second - offset, nanos: nanos)
    guard isValid else { return nil }
  }

  private static func length(ofMonth month: Int64, year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private struct TextCursor {
    let text: [UInt8]
    var position = 0

    var isAtEnd: Bool { position == text.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
      position += 1
      return true
    }

    mutating func digit() -> Int64? {
      guard position < text.count, (0x30...0x39).contains(text[position]) else { return nil }
      position += 1
      return Int64(text[position - 1] - 0x30)
    }

    mutating func number(_ digits: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<digits {
        guard let digit = digit() else { return nil }
        value = value * 10 + digit
      }
      return value
    }

    /// Nanoseconds; 0 without a fraction.
    mutating func fraction() -> Int32? {
      guard take(".") else { return 0 }
      var nanos: Int64 = 0
      var digits = 0
      while digits < 9, let digit = digit() {
        nanos = nanos * 10 + digit
        digits += 1
      }
      guard digits > 0 else { return nil }
      for _ in digits..<9 { nanos *= 10 }
      return Int32(nanos)
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int64? {
      if take("Z") || take("z") { return 0 }
      let east = take("+")
      guard east || take("-"), let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60
      else { return nil }
      return (hours * 3600 + minutes * 60) * (east ? 1 : -1)
    }
  }
}
