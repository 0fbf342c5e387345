// Dates as HTTP and mail write them (RFC 9110 section 5.6.7, IMF-fixdate), in whole seconds since 1970, without
// Foundation.
import Glibc

public enum HTTPDate {
  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// "Sun, 06 Nov 1994 08:49:37 GMT".
  public static func text(secondsSince1970: Int64) -> String { withoutZone(secondsSince1970) + " GMT" }

  /// nil for anything but an IMF-fixdate; the two obsolete forms are not sent by anyone we speak to.
  public static func secondsSince1970(_ text: String) -> Int64? {
    let words = text.split(separator: " ")
    guard words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: String(words[2])),
      let day = Int32(words[1]), let year = Int32(words[3]), (1...31).contains(day), (1900...9999).contains(year)
    else { return nil }
    let time = words[4].split(separator: ":").compactMap { Int32($0) }
    guard time.count == 3, (0...23).contains(time[0]), (0...59).contains(time[1]), (0...60).contains(time[2]) else {
      return nil
    }
    var fields = tm()
    fields.tm_year = year - 1900
    fields.tm_mon = Int32(month)
    fields.tm_mday = day
    (fields.tm_hour, fields.tm_min, fields.tm_sec) = (time[0], time[1], time[2])
    return Int64(timegm(&fields))
  }

  /// The date and time without a zone.
  static func withoutZone(_ seconds: Int64) -> String {
    var time = time_t(seconds)
    var fields = tm()
    gmtime_r(&time, &fields)
    let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
    let day = days[Int(fields.tm_wday) % 7], month = months[Int(fields.tm_mon) % 12]
    let clock = "\(two(fields.tm_hour)):\(two(fields.tm_min)):\(two(fields.tm_sec))"
    return "\(day), \(two(fields.tm_mday)) \(month) \(1900 + fields.tm_year) \(clock)"
  }
}
