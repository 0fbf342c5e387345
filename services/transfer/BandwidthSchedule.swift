// How fast bytes may leave at a moment: a cap, and hours with caps of their own, in a time zone's own time.
import DocumentStore
import FerryAPI
import Foundation

struct BandwidthSchedule: Sendable, Equatable {
  static let maxWindows = 50
  /// Bytes a second: below it servers would take a connection for a dead one.
  static let leastRate: Int64 = 4096

  /// Why a schedule can't be used: "has a window from \"25:00\""
  struct Malformed: Error {
    var reason: String
  }

  private struct Window: Sendable, Equatable {
    /// Minutes of the day.
    var from: Int
    var until: Int
    /// On which it begins, 1 for Monday.
    var days: Set<Int>
    /// Bytes a second; nil: no cap.
    var rate: Int64?

    /// Overnight it holds on the next day's morning, too.
    func holds(minute: Int, day: Int) -> Bool {
      if from < until { return days.contains(day) && (from..<until).contains(minute) }
      let before = day == 1 ? 7 : day - 1
      return (days.contains(day) && minute >= from) || (days.contains(before) && minute < until)
    }
  }

  private let rate: Int64?
  private let windows: [Window]
  private let zone: TimeZone

  init(_ bandwidth: Bandwidth) throws(Malformed) {
    guard bandwidth.windows.count <= Self.maxWindows else {
      throw Malformed(reason: "has \(bandwidth.windows.count) windows, and \(Self.maxWindows) are the most")
    }
    rate = try Self.rate(bandwidth.bytesPerSecond)
    windows = try bandwidth.windows.map { (window) throws(Malformed) in
      let known = 1...Int32(7)
      guard window.days.allSatisfy({ known.contains($0.rawValue) }) else {
        throw Malformed(reason: "has a window on a day that is not known")
      }
      return Window(
        from: try Self.minutes(window.from), until: try Self.minutes(window.until),
        days: window.days.isEmpty ? Set(1...7) : Set(window.days.map { Int($0.rawValue) }),
        rate: try Self.rate(window.bytesPerSecond))
    }
    let name = bandwidth.timeZone.isEmpty ? "UTC" : bandwidth.timeZone
    guard name.utf8.count <= 64, let zone = TimeZone(identifier: name) else {
      throw Malformed(reason: "has the time zone \(String(name.prefix(64)).debugDescription), which is not known")
    }
    self.zone = zone
  }

  private static func rate(_ bytes: Int64) throws(Malformed) -> Int64? {
    if bytes == 0 { return nil }
    guard bytes >= leastRate else {
      throw Malformed(reason: "has a cap of \(bytes) bytes a second, and \(leastRate) are the least")
    }
    return bytes
  }

  /// "22:00"
  private static func minutes(_ text: String) throws(Malformed) -> Int {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }), let hours = Int(parts[0]), (0...23).contains(hours),
      let minutes = Int(parts[1]), (0...59).contains(minutes)
    else { throw Malformed(reason: "has a window with the time \(String(text.prefix(20)).debugDescription), not HH:MM") }
    return hours * 60 + minutes
  }

  /// Bytes a second; nil: no cap.
  func rate(at time: UnixMilliseconds) -> Int64? {
    if windows.isEmpty { return rate }
    let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time) / 1000))
    let local = time / 1000 + Int64(offset)
    let (days, seconds) = (Int((Double(local) / 86_400).rounded(.down)), Int(local % 86_400 + 86_400) % 86_400)
    let day = ((days + 3) % 7 + 7) % 7 + 1  // 1970 began on a Thursday
    return (windows.first { $0.holds(minute: seconds / 60, day: day) }).map(\.rate) ?? rate
  }

  /// What so many bytes take at least, from a moment on; nil where it is over a month. Looked at by quarters of an hour.
  func seconds(for bytes: Int64, from time: UnixMilliseconds) -> Int64? {
    let (step, most) = (Int64(900), Int64(31 * 86_400))
    var (left, seconds) = (bytes, Int64(0))
    while seconds < most {
      guard let rate = rate(at: time + seconds * 1000) else { return seconds }
      if left <= rate * step { return seconds + left / rate }
      left -= rate * step
      seconds += step
    }
    return nil
  }
}
