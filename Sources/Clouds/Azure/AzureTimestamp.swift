// Times as Azure Storage writes them in shared access signatures: ISO 8601, UTC, in one of three lengths ("Specify the
// access policy", Create a service SAS). Answers carry HTTP dates, which are Transport's.
import Glibc

public enum AzureTimestamp {
  /// "2026-11-25T22:36:48Z".
  public static func text(secondsSince1970: Int64) -> String {
    var time = time_t(secondsSince1970)
    var fields = tm()
    gmtime_r(&time, &fields)
    let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
    return "\(1900 + fields.tm_year)-\(two(fields.tm_mon + 1))-\(two(fields.tm_mday))T"
      + "\(two(fields.tm_hour)):\(two(fields.tm_min)):\(two(fields.tm_sec))Z"
  }

  /// Of "2026-11-25", "2026-11-25T22:36Z" and "2026-11-25T22:36:48Z", the last with or without a fraction, which is cut
  /// off; nil for anything else.
  public static func secondsSince1970(_ text: String) -> Int64? {
    var bytes = Array(text.utf8)
    if bytes.count > 10 {
      guard bytes.popLast() == UInt8(ascii: "Z") else { return nil }
      if bytes.count > 19 {
        guard bytes[19] == UInt8(ascii: "."), (21...27).contains(bytes.count), number(bytes[20...]) != nil else {
          return nil
        }
        bytes.removeSubrange(19...)
      }
    }
    guard [10, 16, 19].contains(bytes.count) else { return nil }
    for (place, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] where place < bytes.count {
      guard mark.utf8.first == bytes[place] else { return nil }
    }
    let field = { (start: Int, end: Int) in end <= bytes.count ? number(bytes[start..<end]) : 0 }
    guard let year = field(0, 4), let month = field(5, 7), let day = field(8, 10), let hour = field(11, 13),
      let minute = field(14, 16), let second = field(17, 19), (1900...9999).contains(year), (1...12).contains(month),
      (1...31).contains(day), hour < 24, minute < 60, second <= 60
    else { return nil }
    var fields = tm()
    fields.tm_year = year - 1900
    fields.tm_mon = month - 1
    (fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec) = (day, hour, minute, second)
    return Int64(timegm(&fields))
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int32? {
    var value: Int32 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int32(digit - UInt8(ascii: "0"))
    }
    return value
  }
}
