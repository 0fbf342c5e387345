// Numbers, sizes and durations as people read them: "1,204", "3.2 GiB", "4 min 12 s". Integer arithmetic only, so that
// the same number always gives the same words.
import FerryAPI

enum Measures {
  private static let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

  /// "1 byte", "512 bytes", "1.5 KiB", "12 MiB": one digit after the point below 10, none above.
  static func size(_ bytes: Int64) -> String {
    if bytes < 1024 { return counted(bytes, "byte", "bytes") }
    var unit = 0
    var whole = bytes
    while whole >= 1024 * 1024, unit < units.count - 1 {
      whole /= 1024
      unit += 1
    }
    // Tenths, rounded down: what is said is never more than what is there.
    let tenths = whole / 1024 * 10 + whole % 1024 * 10 / 1024
    let text = tenths >= 100 || tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    return "\(text) \(units[unit])"
  }

  /// "1 file", "1,204 files".
  static func counted(_ count: Int64, _ one: String, _ many: String) -> String {
    count == 1 ? "1 \(one)" : "\(number(count)) \(many)"
  }

  static func files(_ count: Int64) -> String { counted(count, "file", "files") }

  /// "1,234,567"
  static func number(_ value: Int64) -> String {
    let digits = String(value.magnitude)
    var text = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return text
  }

  /// "less than a second", "42 s", "4 min 12 s", "3 h 5 min", "2 d 4 h"; nil where either end is missing or they are
  /// the wrong way round.
  static func duration(from start: Timestamp?, to end: Timestamp?) -> String? {
    guard let start, let end else { return nil }
    let seconds = end.seconds - start.seconds - (end.nanos < start.nanos ? 1 : 0)
    if seconds < 0 { return nil }
    if seconds == 0 { return "less than a second" }
    for (size, unit, smaller, smallerUnit) in [(86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")]
      as [(Int64, String, Int64, String)]
    where seconds >= size {
      let rest = seconds % size / smaller
      return rest == 0 ? "\(seconds / size) \(unit)" : "\(seconds / size) \(unit) \(rest) \(smallerUnit)"
    }
    return "\(seconds) s"
  }
}

/// Foreign text made fit for one line: what a file's name holds must not add lines to a ticket, nor turn its letters
/// round.
enum OneLine {
  /// Control characters, line ends, and the marks that change the direction of text (Unicode UAX #9).
  static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0...0x1F, 0x7F...0x9F, 0x2028, 0x2029, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  static func text(_ value: some StringProtocol) -> String {
    guard value.unicodeScalars.contains(where: isHidden) else { return String(value) }
    var text = ""
    for scalar in value.unicodeScalars {
      if isHidden(scalar) { text += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}" } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// At most `limit` characters; the middle gives way, for the ends of a path say most.
  static func shortened(_ value: String, to limit: Int) -> String {
    if value.count <= limit { return value }
    let kept = max(limit - 1, 0)
    return value.prefix((kept + 1) / 2) + "…" + value.suffix(kept / 2)
  }
}
