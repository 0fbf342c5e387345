// When schedules run: every form that crontab knows, days that are either, and clocks that are changed.
import FerryAPI
import Foundation
import Testing

@testable import TransferService

@Suite struct CronExpressionTests {
  private static func time(_ text: String) throws -> Int64 { try #require(Timestamp(rfc3339: text)).milliseconds }

  /// The next runs after a moment, in UTC.
  private static func runs(_ cron: String, after: String, zone: String = "UTC", count: Int = 1) throws -> [String] {
    let expression = try CronExpression(cron)
    let zone = try #require(TimeZone(identifier: zone))
    var now = try time(after)
    return try (0..<count).map { _ in
      now = try #require(expression.next(after: now, in: zone))
      return Timestamp(milliseconds: now).description
    }
  }

  /// Friday, 2026-11-27.
  private static let cases: [(cron: String, after: String, next: String)] = [
    ("30 6 * * *", "2026-11-27T06:29:59Z", "2026-11-27T06:30:00Z"),
    ("30 6 * * *", "2026-11-27T06:30:00Z", "2026-11-28T06:30:00Z"),
    ("*/15 * * * *", "2026-11-27T23:50:01Z", "2026-11-28T00:00:00Z"),
    ("5/20 8-9 * * *", "2026-11-27T08:26:00Z", "2026-11-27T08:45:00Z"),
    ("0 0 * * MON-FRI", "2026-11-27T12:00:00Z", "2026-11-30T00:00:00Z"),
    ("0 0 * * 7", "2026-11-27T12:00:00Z", "2026-11-29T00:00:00Z"),
    ("0 0 * * sun,tue", "2026-11-29T12:00:00Z", "2026-12-01T00:00:00Z"),
    ("0 12 1 JAN,jul *", "2026-11-27T12:00:00Z", "2027-01-01T12:00:00Z"),
    ("0 0 29 2 *", "2026-11-27T12:00:00Z", "2028-02-29T00:00:00Z"),
    ("0 0 31 * *", "2026-11-27T12:00:00Z", "2026-12-31T00:00:00Z"),
    // Either day suffices where both are told: the 13th, or a Friday.
    ("0 0 13 * FRI", "2026-11-27T12:00:00Z", "2026-12-04T00:00:00Z"),
    ("0 0 13 * FRI", "2026-12-11T12:00:00Z", "2026-12-13T00:00:00Z"),
    // One that begins with a star narrows the other: odd days that are Mondays.
    ("0 0 */2 * MON", "2026-11-27T12:00:00Z", "2026-12-07T00:00:00Z"),
    ("@daily", "2026-11-27T12:00:00Z", "2026-11-28T00:00:00Z"),
    ("@Hourly", "2026-11-27T12:34:00Z", "2026-11-27T13:00:00Z"),
    ("@weekly", "2026-11-27T12:00:00Z", "2026-11-29T00:00:00Z"),
    ("@monthly", "2026-11-27T12:00:00Z", "2026-12-01T00:00:00Z"),
    ("@yearly", "2026-11-27T12:00:00Z", "2027-01-01T00:00:00Z"),
  ]

  @Test("the next run", arguments: cases.indices)
  func next(index: Int) throws {
    let (cron, after, next) = Self.cases[index]
    #expect(try Self.runs(cron, after: after) == [next], "\(cron) after \(after)")
  }

  @Test("in a time zone's own time, summer and winter")
  func zones() throws {
    #expect(
      try Self.runs("30 6 * * *", after: "2026-10-24T00:00:00Z", zone: "Europe/Berlin", count: 3)
        == ["2026-10-24T04:30:00Z", "2026-10-25T05:30:00Z", "2026-10-26T05:30:00Z"])
    #expect(
      try Self.runs("0 0 1 * *", after: "2026-11-27T00:00:00Z", zone: "Pacific/Auckland") == ["2026-11-30T11:00:00Z"])
  }

  @Test("an hour that the clock leaves out comes as much later; one that comes twice counts once")
  func clockChanges() throws {
    // Europe/Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.
    #expect(
      try Self.runs("30 2 * * *", after: "2026-03-28T12:00:00Z", zone: "Europe/Berlin", count: 2)
        == ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"])
    #expect(
      try Self.runs("30 2 * * *", after: "2026-10-24T12:00:00Z", zone: "Europe/Berlin", count: 2)
        == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    // Midnight itself: Africa/Cairo goes from 00:00 to 01:00 on 2026-04-24.
    #expect(
      try Self.runs("0 0 * * *", after: "2026-04-23T12:00:00Z", zone: "Africa/Cairo", count: 2)
        == ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"])
  }

  @Test("runs of every hour go on through a change of the clock, none twice and none left out")
  func everyHour() throws {
    for day in ["2026-03-28T22:30:00Z", "2026-10-24T22:30:00Z"] {
      let start = try Self.time(day)
      let runs = try Self.runs("*/30 * * * *", after: day, zone: "Europe/Berlin", count: 12).map(Self.time)
      #expect(runs == (1...12).map { start + $0 * 1_800_000 })
    }
  }

  @Test("a day that never comes has no run")
  func never() throws {
    #expect(try CronExpression("0 0 30 2 *").next(after: 0, in: .gmt) == nil)
  }

  @Test(
    "what is no expression is refused, and the reason names the place",
    arguments: [
      ("", "five"), ("* * * *", "five"), ("* * * * * *", "five"), ("60 * * * *", "minute"), ("* 24 * * *", "hour"),
      ("* * 0 * *", "day of the month"), ("* * * 13 *", "month"), ("* * * * 8", "day of the week"),
      ("5-1 * * * *", "minute"), ("*/0 * * * *", "minute"), ("1,,2 * * * *", "minute"), ("-1 * * * *", "minute"),
      ("* * * FEBRUARY *", "month"), ("1- * * * *", "minute"), ("*/ * * * *", "minute"), ("@reboot", "@daily"),
      ("+1 * * * *", "minute"), (String(repeating: "1,", count: 200), "bytes"), ("٣ * * * *", "minute"),
    ])
  func malformed(cron: String, said: String) {
    let error = #expect(throws: CronExpression.Malformed.self) { try CronExpression(cron) }
    #expect(error?.reason.contains(said) == true, "\(String(describing: error?.reason))")
  }

  @Test("the run's own day stands for the words in selections and path")
  func words() throws {
    let times = try ScheduleTimes(.with { ($0.cron, $0.timeZone) = ("0 1 * * *", "Europe/Berlin") })
    let request = DeliveryRequest.with {
      $0.source = .with {
        $0.selections = [.with { ($0.kind, $0.value) = (.glob, "out/{yesterday}/*.{csv,txt}") }]
        $0.excludes = ["{year}/{month}/**"]
      }
      $0.path = "{date}/{hour}/"
    }
    // New Year's Day in Berlin, still the old year in Greenwich.
    let filled = try #require(times.request(request, at: try Self.time("2026-12-31T23:30:00Z")))
    #expect(filled.source?.selections.first?.value == "out/2026-12-31/*.{csv,txt}")
    #expect(filled.source?.excludes == ["2027/01/**"])
    #expect(filled.path == "2027-01-01/00/")
  }
}
