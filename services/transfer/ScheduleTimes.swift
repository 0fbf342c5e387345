// A schedule's times and what stands for them in its request, worked out and checked.
import DocumentStore
import FerryAPI
import Foundation
import RPC
import ServiceKit

struct ScheduleTimes: Sendable {
  static let maxZoneBytes = 64

  private let cron: CronExpression
  private let zone: TimeZone

  init(_ schedule: Schedule) throws(RPCError) {
    do throws(CronExpression.Malformed) { cron = try CronExpression(schedule.cron) } catch {
      throw .invalid(
        "The times \(String(schedule.cron.prefix(100)).debugDescription) can't be used: the expression \(error.reason).",
        next: "Write minute, hour, day of the month, month and day of the week, such as 30 6 * * MON-FRI.",
        problem: "SCHEDULE_INVALID", subject: "cron")
    }
    let name = schedule.timeZone.isEmpty ? "UTC" : schedule.timeZone
    guard name.utf8.count <= Self.maxZoneBytes, let zone = TimeZone(identifier: name) else {
      throw .invalid(
        "The time zone \(String(name.prefix(Self.maxZoneBytes)).debugDescription) is not known.",
        next: "Give an IANA name such as Europe/Berlin, or none for UTC.", problem: "SCHEDULE_INVALID", subject: "timeZone")
    }
    self.zone = zone
  }

  /// - Throws: INVALID_ARGUMENT if there is no next run within years.
  func next(after time: UnixMilliseconds) throws(RPCError) -> Timestamp {
    guard let next = cron.next(after: time, in: zone) else {
      throw .invalid(
        "No day fits these times within eight years.", next: "Check the day of the month and the month.",
        problem: "SCHEDULE_INVALID", subject: "cron")
    }
    return Timestamp(milliseconds: next)
  }

  /// The request of a run at a moment: "{date}" and its like in selections, excludes and path are filled in.
  func request(_ request: DeliveryRequest?, at time: UnixMilliseconds) -> DeliveryRequest? {
    guard var filled = request else { return nil }
    let seconds = time / 1000
    let local = seconds + Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
    let (today, yesterday) = (Self.parts(of: local), Self.parts(of: local - 86_400))
    let values = [
      "{date}": today.date, "{yesterday}": yesterday.date, "{year}": today.year, "{month}": today.month,
      "{day}": today.day, "{hour}": today.hour,
    ]
    func fill(_ text: String) -> String {
      // Most have none, and it is looked at byte by byte.
      guard text.utf8.contains(UInt8(ascii: "{")) else { return text }
      return values.reduce(text) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
    }
    filled.path = fill(filled.path)
    if var source = filled.source {
      for index in source.selections.indices { source.selections[index].value = fill(source.selections[index].value) }
      source.excludes = source.excludes.map(fill)
      filled.source = source
    }
    return filled
  }

  private struct Parts {
    var year, month, day, hour: String
    var date: String { "\(year)-\(month)-\(day)" }
  }

  /// - Parameter local: seconds since 1970 of the zone's own clock.
  private static func parts(of local: Int64) -> Parts {
    let text = Timestamp(seconds: local).description  // "2026-11-27T06:30:00Z"
    func part(_ from: Int, _ count: Int) -> String { String(text.dropFirst(from).prefix(count)) }
    return Parts(year: part(0, 4), month: part(5, 2), day: part(8, 2), hour: part(11, 2))
  }
}
