// How answers look: sizes, times, tables, errors.
import FerryAPI
import Glibc

func printError(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = write(2, line, line.count)
}

enum Printing {
  static var isTerminal: Bool { isatty(1) == 1 }

  /// "64.0 MiB"
  static func bytes(_ count: Int64) -> String {
    if count < 1024 { return "\(count) B" }
    var value = Double(count)
    var unit = "B"
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where value >= 1024 {
      value /= 1024
      unit = next
    }
    return fixed(value, 1) + " " + unit
  }

  /// "1 file", "200 files"
  static func files(_ count: Int64) -> String { count == 1 ? "1 file" : "\(count) files" }

  static func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = digits == 0 ? 1.0 : 10.0
    let rounded = Int64((value * scale).rounded())
    return digits == 0 ? "\(rounded)" : "\(rounded / 10).\(abs(rounded % 10))"
  }

  /// "1:05" or "1:00:05"
  static func duration(seconds: Double) -> String {
    let whole = Int64(seconds.rounded())
    let tail = two(whole % 60)
    return whole < 3600 ? "\(whole / 60):\(tail)" : "\(whole / 3600):\(two(whole / 60 % 60)):\(tail)"
  }

  private static func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }

  /// "2026-11-24 15:04:05", in the local time zone.
  static func time(_ stamp: Timestamp?) -> String {
    guard let stamp else { return "-" }
    var seconds = time_t(stamp.seconds)
    var parts = tm()
    localtime_r(&seconds, &parts)
    let day = "\(parts.tm_year + 1900)-\(two(Int64(parts.tm_mon + 1)))-\(two(Int64(parts.tm_mday)))"
    return day + " \(two(Int64(parts.tm_hour))):\(two(Int64(parts.tm_min))):\(two(Int64(parts.tm_sec)))"
  }

  /// Columns padded to their widest cell; the last one runs free.
  static func table(_ header: [String], _ rows: [[String]]) {
    var widths = header.map(\.count)
    for row in rows {
      for (index, cell) in row.enumerated() where index < widths.count { widths[index] = max(widths[index], cell.count) }
    }
    for row in [header] + rows {
      var line = ""
      for (index, cell) in row.enumerated() {
        line += cell
        if index < row.count - 1 { line += String(repeating: " ", count: widths[index] - cell.count + 2) }
      }
      print(line)
    }
  }

  /// "SUCCEEDED" of DELIVERY_STATUS_SUCCEEDED.
  static func name<E: ProtoEnumName>(_ value: E) -> String { value.shortName }
}

/// An enumeration's value without the prefix that .proto files give it.
protocol ProtoEnumName { var shortName: String { get } }
extension DeliveryStatus: ProtoEnumName { var shortName: String { stripped("DELIVERY_STATUS_") } }
extension DeliveryState: ProtoEnumName { var shortName: String { stripped("DELIVERY_STATE_") } }
extension StateStatus: ProtoEnumName { var shortName: String { stripped("STATE_STATUS_") } }
extension FileStatus: ProtoEnumName { var shortName: String { stripped("FILE_STATUS_") } }
extension TicketStatus: ProtoEnumName { var shortName: String { stripped("TICKET_STATUS_") } }
extension TicketKind: ProtoEnumName { var shortName: String { stripped("TICKET_KIND_") } }
extension Outcome: ProtoEnumName { var shortName: String { stripped("OUTCOME_") } }
extension Role: ProtoEnumName { var shortName: String { stripped("ROLE_") } }
extension Severity: ProtoEnumName { var shortName: String { stripped("SEVERITY_") } }
