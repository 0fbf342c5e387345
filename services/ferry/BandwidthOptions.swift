// How fast bytes may leave, as people type it: "10M", and "mon-fri 08:00-18:00 2M".
import ArgumentParser
import FerryAPI

struct BandwidthOptions: ParsableArguments {
  @Option(help: "Bytes a second at most: 500K, 10M, 1G (of 1024). Default: no cap.") var bandwidth: String?
  @Option(
    help: """
      Hours with another cap: '08:00-18:00 2M', 'mon-fri 22:00-06:00 off', 'sat,sun 00:00-00:00 off'. The first that \
      fits counts. May be repeated.
      """)
  var bandwidthHours: [String] = []
  @Option(help: "Time zone of hours and schedules: 'Europe/Berlin'. Default: UTC.") var timeZone = ""

  /// Nil without any.
  func caps() throws -> Bandwidth? {
    guard bandwidth != nil || !bandwidthHours.isEmpty else { return nil }
    return try .with {
      $0.bytesPerSecond = try bandwidth.map(Self.rate) ?? 0
      $0.windows = try bandwidthHours.map(Self.window)
      $0.timeZone = timeZone
    }
  }

  /// Bytes a second; 0 for "off".
  static func rate(_ text: String) throws -> Int64 {
    if text == "off" { return 0 }
    let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
    let unit = text.uppercased().last.flatMap { units[$0] }
    guard let number = Double(unit == nil ? text : String(text.dropLast())), number > 0, number < 1e12 else {
      throw ValidationError("'\(text)' is no bandwidth: write 500K, 10M or 1G.")
    }
    return Int64(number * Double(unit ?? 1))
  }

  static func window(_ text: String) throws -> BandwidthWindow {
    let fields = text.split(separator: " ")
    let times = fields.dropLast().last.map { $0.split(separator: "-", omittingEmptySubsequences: false) } ?? []
    guard (2...3).contains(fields.count), times.count == 2, let rate = fields.last else {
      throw ValidationError("'\(text)' is not like 'mon-fri 08:00-18:00 2M'.")
    }
    return try .with {
      ($0.from, $0.until) = (String(times[0]), String(times[1]))
      if fields.count == 3 { $0.days = try days(fields[0]) }
      $0.bytesPerSecond = try Self.rate(String(rate))
    }
  }

  /// "mon-fri", "sat,sun"
  private static func days(_ text: Substring) throws -> [Weekday] {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    func number(_ name: Substring) throws -> Int {
      guard let index = names.firstIndex(of: String(name.lowercased())) else {
        throw ValidationError("'\(name)' is none of \(names.joined(separator: ", ")).")
      }
      return index
    }
    return try text.split(separator: ",").flatMap { part -> [Weekday] in
      let ends = try part.split(separator: "-").map(number)
      guard let first = ends.first, let last = ends.last, ends.count <= 2 else {
        throw ValidationError("'\(part)' is no range of days.")
      }
      let span = (last - first + 7) % 7
      return (0...span).map { Weekday(rawValue: Int32((first + $0) % 7 + 1)) }
    }
  }
}
