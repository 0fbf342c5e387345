// When a schedule runs: POSIX's crontab fields, with names, steps and the usual "@daily", on the clock of a time zone.
import DocumentStore
import FerryAPI
import Foundation

struct CronExpression: Sendable, Equatable {
  static let maxBytes = 256
  /// Days looked at for the next run: 29 February can be eight years away, around 1900 and 2100.
  static let horizonDays: Int64 = 8 * 366 + 31

  /// Why an expression can't be used: "has the hour \"24\", and hours go from 0 to 23"
  struct Malformed: Error {
    var reason: String
  }

  /// One of the five places: which of its values count.
  private struct Field: Sendable, Equatable {
    var bits: UInt64
    /// It begins with "*": the day fields and changes of the clock treat such a one in their own way.
    var isStar: Bool

    func holds(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }
  }

  private struct Place: Sendable {
    var name: String
    var range: ClosedRange<Int>
    var names: [String] = []

    static let all = [
      Place(name: "minute", range: 0...59), Place(name: "hour", range: 0...23),
      Place(name: "day of the month", range: 1...31),
      Place(
        name: "month", range: 1...12,
        names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
      // 7 is Sunday, too.
      Place(name: "day of the week", range: 0...7, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
    ]
  }

  private static let shorthands = [
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
  ]

  private let minutes, hours, days, months, weekdays: Field

  init(_ text: String) throws(Malformed) {
    guard text.utf8.count <= Self.maxBytes else {
      throw Malformed(reason: "has \(text.utf8.count) bytes, and \(Self.maxBytes) are the most")
    }
    let words = (Self.shorthands[text.lowercased()] ?? text).split(whereSeparator: \.isWhitespace)
    guard words.count == Place.all.count else {
      throw Malformed(
        reason: text.hasPrefix("@")
          ? "is none of \(Self.shorthands.keys.sorted().joined(separator: ", "))"
          : "has \(words.count) fields, not five: minute, hour, day of the month, month, day of the week")
    }
    var fields: [Field] = []
    for (word, place) in zip(words, Place.all) { fields.append(try Self.field(word, place)) }
    (minutes, hours, days, months) = (fields[0], fields[1], fields[2], fields[3])
    var week = fields[4]
    if week.holds(7) { week.bits |= 1 }
    weekdays = week
  }

  /// "*", "*/15", "1-5", "MON,WED", "10-20/5"
  private static func field(_ word: Substring, _ place: Place) throws(Malformed) -> Field {
    var bits: UInt64 = 0
    for part in word.split(separator: ",", omittingEmptySubsequences: false) {
      let pieces = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      guard let span = pieces.first else { throw malformed(part, place) }
      let ends = span.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
      var range = place.range
      if span != "*" {
        let from = try value(ends.first ?? "", place)
        // "5/10": from 5 on, to the last.
        let until = ends.count == 2 ? try value(ends[1], place) : pieces.count == 2 ? range.upperBound : from
        guard from <= until else { throw malformed(part, place) }
        range = from...until
      }
      var step = 1
      if pieces.count == 2 {
        guard let wanted = Int(pieces[1]), (1...place.range.upperBound).contains(wanted) else {
          throw malformed(part, place)
        }
        step = wanted
      }
      for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { bits |= 1 << UInt64(value) }
    }
    return Field(bits: bits, isStar: word.hasPrefix("*"))
  }

  private static func value(_ text: Substring, _ place: Place) throws(Malformed) -> Int {
    if let index = place.names.firstIndex(of: text.uppercased()) { return index + (place.range.lowerBound == 1 ? 1 : 0) }
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = Int(text),
      place.range.contains(number)
    else { throw malformed(text, place) }
    return number
  }

  private static func malformed(_ text: Substring, _ place: Place) -> Malformed {
    Malformed(
      reason: "has the \(place.name) \(String(text.prefix(40)).debugDescription), and that goes from "
        + "\(place.range.lowerBound) to \(place.range.upperBound)"
        + (place.names.isEmpty ? "" : " or by names such as \(place.names[1])"))
  }

  // MARK: The next time

  /// The first run after a moment; nil if there is none within eight years, as of 30 February.
  ///
  /// Where clocks go forward, a run at an hour that is named and left out comes as much later as they went; where they
  /// go back, it comes once. Runs of every hour ("*") simply go on, as in Vixie's cron.
  func next(after time: UnixMilliseconds, in zone: TimeZone) -> UnixMilliseconds? {
    let start = time / 1000
    let today = (start + Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(start)))) ).dividedDown(86_400)
    // From yesterday on: a run may have been moved across midnight.
    for day in (today - 1)...(today + Self.horizonDays) where holds(day: day) {
      let found = instants(on: day, in: zone).filter { $0 > start }.min()
      if let found { return found * 1000 }
    }
    return nil
  }

  /// POSIX: where both days are told, one of them suffices.
  private func holds(day: Int64) -> Bool {
    let date = Timestamp.civil(fromDays: day)
    guard months.holds(Int(date.month)) else { return false }
    let weekday = Int(((day + 4) % 7 + 7) % 7)  // 1970 began on a Thursday
    let (byDay, byWeekday) = (days.holds(Int(date.day)), weekdays.holds(weekday))
    return days.isStar || weekdays.isStar ? byDay && byWeekday : byDay || byWeekday
  }

  /// Seconds since 1970 of all runs on a day of the zone's calendar.
  private func instants(on day: Int64, in zone: TimeZone) -> [Int64] {
    func offset(_ time: Int64) -> Int64 { Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time)))) }
    let midnight = day * 86_400
    // No zone changes its clock twice within two days.
    let (before, after) = (offset(midnight - 86_400), offset(midnight + 2 * 86_400))
    var found: [Int64] = []
    for hour in 0..<24 where hours.holds(hour) {
      for minute in 0..<60 where minutes.holds(minute) {
        let local = midnight + Int64(hour * 3600 + minute * 60)
        let real = Set([local - before, local - after].filter { $0 + offset($0) == local })
        if hours.isStar {
          found += real
        } else {
          found.append(real.min() ?? local - before)
        }
      }
    }
    return found
  }
}

extension Int64 {
  fileprivate func dividedDown(_ divisor: Int64) -> Int64 {
    let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? quotient - 1 : quotient
  }
}
