// Log events as JSON lines on standard error: {"time","level","service","message",...metadata,"trace_id"}. One write a
// line, so that lines of several processes on one pipe stay whole.
import DocumentStore
import Logging

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

public struct JSONLogHandler: LogHandler {
  /// Bytes of one value; what is longer is cut and ends in an ellipsis.
  public static let maximumValueSize = 4096

  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  public var metadataProvider: Logger.MetadataProvider?

  private let service: String
  private let now: @Sendable () -> UnixMilliseconds
  private let write: @Sendable ([UInt8]) -> Void

  public init(
    service: String, level: Logger.Level = .info, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now,
    write: @escaping @Sendable ([UInt8]) -> Void = JSONLogHandler.writeToStandardError
  ) {
    self.service = service
    logLevel = level
    self.now = now
    self.write = write
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var line = JSONLine()
    line.add("time", ISO8601.text(now()))
    line.add("level", event.level.rawValue)
    line.add("service", service)
    line.add("message", event.message.description)
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
    if let own = event.metadata { all.merge(own) { $1 } }
    if let error = event.error { all["error"] = .string(String(describing: error)) }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { line.add(key, value) }
    if let trace = TraceContext.current {
      line.add("trace_id", trace.traceID)
      line.add("span_id", trace.spanID)
    }
    write(line.finished())
  }

  /// A log that cannot be written has nowhere to complain to: the line is lost and the service goes on.
  public static let writeToStandardError: @Sendable ([UInt8]) -> Void = { bytes in
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Self.systemWrite($0) }
      if written < 0 && errno == EINTR { continue }
      if written <= 0 { return }
      rest = rest.dropFirst(written)
    }
  }

  private static func systemWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Glibc)
      Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #elseif canImport(Musl)
      Musl.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #else
      Darwin.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #endif
  }
}

/// One JSON object on one line (RFC 8259).
private struct JSONLine {
  private var bytes: [UInt8] = [UInt8(ascii: "{")]

  init() { bytes.reserveCapacity(512) }

  mutating func add(_ key: String, _ value: String) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
    string(key)
    bytes.append(UInt8(ascii: ":"))
    string(value)
  }

  mutating func add(_ key: String, _ value: Logger.Metadata.Value) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
    string(key)
    bytes.append(UInt8(ascii: ":"))
    append(value)
  }

  private mutating func append(_ value: Logger.Metadata.Value) {
    switch value {
    case .string(let text): string(text)
    case .stringConvertible(let number as any FixedWidthInteger): bytes += String(describing: number).utf8
    case .stringConvertible(let flag as Bool): bytes += (flag ? "true" : "false").utf8
    case .stringConvertible(let other): string(other.description)
    case .array(let values):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in values.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        append(element)
      }
      bytes.append(UInt8(ascii: "]"))
    case .dictionary(let values):
      bytes.append(UInt8(ascii: "{"))
      for (index, element) in values.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        string(element.key)
        bytes.append(UInt8(ascii: ":"))
        append(element.value)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private mutating func string(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    var left = JSONLogHandler.maximumValueSize
    for scalar in text.unicodeScalars {
      left -= 1
      if left < 0 {
        bytes += "…".utf8
        break
      }
      switch scalar {
      case "\"": bytes += #"\""#.utf8
      case "\\": bytes += #"\\"#.utf8
      case "\n": bytes += #"\n"#.utf8
      case "\r": bytes += #"\r"#.utf8
      case "\t": bytes += #"\t"#.utf8
      // Control characters, and the two line ends of Unicode that some readers of lines stop at.
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
        let hex = String(scalar.value, radix: 16)
        bytes += ("\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex).utf8
      default: bytes += String(scalar).utf8
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  func finished() -> [UInt8] { bytes + [UInt8(ascii: "}"), UInt8(ascii: "\n")] }
}

/// "2026-11-24T15:04:05.678Z" (RFC 3339), from milliseconds since 1970, without a calendar library.
public enum ISO8601 {
  public static func text(_ time: UnixMilliseconds) -> String {
    let days = Int((Double(time) / 86_400_000).rounded(.down))
    let inDay = Int(time) - days * 86_400_000
    let (year, month, day) = civil(days)
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(inDay / 3_600_000, 2)):\(pad(inDay / 60_000 % 60, 2))"
      + ":\(pad(inDay / 1000 % 60, 2)).\(pad(inDay % 1000, 3))Z"
  }

  private static func pad(_ value: Int, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }

  /// Days since 1970-01-01 in the Gregorian calendar, by eras of 400 years that begin on 1 March.
  private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }
}
