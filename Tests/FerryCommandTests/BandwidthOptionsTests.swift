// Caps and hours as people type them.
import FerryAPI
import Testing

@testable import FerryCommand

@Suite struct BandwidthOptionsTests {
  @Test("rates", arguments: [("500K", Int64(512_000)), ("10m", 10_485_760), ("1.5G", 1_610_612_736), ("7000", 7000), ("off", 0)])
  func rates(_ text: String, _ rate: Int64) throws { #expect(try BandwidthOptions.rate(text) == rate) }

  @Test("windows")
  func windows() throws {
    let window = try BandwidthOptions.window("fri-mon,wed 22:00-06:00 2M")
    #expect((window.from, window.until, window.bytesPerSecond) == ("22:00", "06:00", 2 << 20))
    #expect(window.days == [.friday, .saturday, .sunday, .monday, .wednesday])
    #expect(try BandwidthOptions.window("08:00-18:00 off").days.isEmpty)
  }

  @Test("what can't be read is refused", arguments: ["08:00 2M", "08:00-18:00", "yesterday 08:00-18:00 2M", "08:00-18:00 fast", ""])
  func refused(_ text: String) { #expect(throws: (any Error).self) { try BandwidthOptions.window(text) } }
}
