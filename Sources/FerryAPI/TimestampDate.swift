// Timestamp and Foundation's Date.
import FoundationEssentials

extension Timestamp {
  /// The date to the microsecond, which is what a Date of this century holds; the nearest end of the range where Int64
  /// cannot hold it.
  public init(date: Date) {
    let microseconds = (date.timeIntervalSince1970 * 1_000_000).rounded()
    guard let exact = Int64(exactly: microseconds) else {
      self.init(seconds: microseconds < 0 ? Self.textRange.lowerBound : Self.textRange.upperBound)
      return
    }
    let (seconds, rest) = Self.floored(exact, by: 1_000_000)
    self.init(seconds: seconds, nanos: Int32(rest * 1000))
  }

  public var date: Date { Date(timeIntervalSince1970: Double(seconds) + Double(nanos) / 1_000_000_000) }
}
