// Which cap holds at a moment, how long it makes bytes wait, and how that is shared.
import FerryAPI
import Testing

@testable import TransferService

@Suite struct BandwidthTests {
  private static let hour: Int64 = 3_600_000
  /// Monday 2026-11-23, 00:00 UTC.
  private static let monday: Int64 = 1_795_392_000_000

  private func schedule(_ windows: [(String, String, [Weekday], Int64)], zone: String = "") throws -> BandwidthSchedule {
    try BandwidthSchedule(
      .with {
        ($0.bytesPerSecond, $0.timeZone) = (1_000_000, zone)
        $0.windows = windows.map { from, until, days, rate in
          .with { ($0.from, $0.until, $0.days, $0.bytesPerSecond) = (from, until, days, rate) }
        }
      })
  }

  /// Hours from Monday's beginning on, and the cap that holds then.
  private static let moments: [(hours: Int64, rate: Int64?)] = [
    (7, 1_000_000), (8, 2_000_000), (17, 2_000_000), (18, 1_000_000), (22, nil), (29, nil), (30, 1_000_000),
    (129, 1_000_000), (123, nil), (147, 1_000_000), (-1, 1_000_000),
  ]

  @Test("the first window that holds the moment counts, overnight too, else the cap outside", arguments: moments.indices)
  func windows(index: Int) throws {
    let (hours, rate) = Self.moments[index]
    let weekdays: [Weekday] = [.monday, .tuesday, .wednesday, .thursday, .friday]
    let schedule = try schedule([("08:00", "18:00", weekdays, 2_000_000), ("22:00", "06:00", weekdays, 0)])
    #expect(schedule.rate(at: Self.monday + hours * Self.hour) == rate)
  }

  @Test("hours are those of the zone, in winter and in summer")
  func zones() throws {
    let schedule = try schedule([("08:00", "18:00", [], 5_000)], zone: "Europe/Berlin")
    #expect(schedule.rate(at: Self.monday + 7 * Self.hour) == 5_000)
    #expect(schedule.rate(at: Self.monday + 7 * Self.hour - 1) == 1_000_000)
    let july = Self.monday - 140 * 24 * Self.hour
    #expect(schedule.rate(at: july + 6 * Self.hour) == 5_000 && schedule.rate(at: july + 6 * Self.hour - 1) == 1_000_000)
  }

  @Test("what can't be used says why", arguments: [
    ("25:00", "06:00", Int64(0), "", "the time \"25:00\""), ("8:00", "06:00", 0, "", "the time \"8:00\""),
    ("08:00", "06:00", 1, "", "a cap of 1 bytes"), ("08:00", "06:00", 0, "Mars/Base", "the time zone \"Mars/Base\""),
  ])
  func malformed(_ from: String, _ until: String, _ rate: Int64, _ zone: String, _ reason: String) {
    do throws(BandwidthSchedule.Malformed) {
      _ = try BandwidthSchedule(
        .with {
          $0.windows = [.with { ($0.from, $0.until, $0.bytesPerSecond) = (from, until, rate) }]
          $0.timeZone = zone
        })
      Issue.record("it was taken")
    } catch {
      #expect(error.reason.contains(reason), "\(error.reason)")
    }
  }

  @Test("a plan's time follows the caps of the hours it goes through")
  func duration() throws {
    let schedule = try schedule([("00:00", "01:00", [], 10_000)])
    #expect(schedule.seconds(for: 10_000, from: Self.monday) == 1)
    #expect(schedule.seconds(for: 36_000_000 + 2_000_000, from: Self.monday) == 3602)
    #expect(try BandwidthSchedule(Bandwidth()).seconds(for: 1 << 40, from: 0) == 0)
    let slow = try BandwidthSchedule(.with { $0.bytesPerSecond = 4096 })
    #expect(slow.seconds(for: 1 << 40, from: 0) == nil)
  }

  @Test("bytes wait for those before them, and for none once the cap is gone")
  func waits() throws {
    let throttle = Throttle(try BandwidthSchedule(.with { $0.bytesPerSecond = 100_000 }), now: { 0 })
    let begin = ContinuousClock.Instant.now
    #expect(throttle.slice == 25_000)
    #expect(throttle.reserve(25_000, at: begin) == nil)
    #expect(throttle.reserve(25_000, at: begin) == begin + .milliseconds(250))
    #expect(throttle.reserve(50_000, at: begin + .milliseconds(100)) == begin + .milliseconds(500))
    #expect(throttle.reserve(10, at: begin + .seconds(9)) == nil, "time that nobody used is not saved up")
    throttle.follow(try BandwidthSchedule(Bandwidth()))
    #expect(throttle.slice == nil && throttle.reserve(1 << 30, at: begin + .seconds(9)) == nil)
  }

  @Test("deliveries to one server share its throttle, and the newest schedule counts")
  func shared() throws {
    let throttles = DestinationThrottles()
    let first = throttles.take("me@h:22", try BandwidthSchedule(.with { $0.bytesPerSecond = 100_000 }), now: { 0 })
    let second = throttles.take("me@h:22", try BandwidthSchedule(.with { $0.bytesPerSecond = 200_000 }), now: { 0 })
    #expect(first === second && first.slice == 50_000)
    throttles.release("me@h:22")
    throttles.release("me@h:22")
    let third = throttles.take("me@h:22", try BandwidthSchedule(.with { $0.bytesPerSecond = 100_000 }), now: { 0 })
    #expect(third !== first)
  }
}
