// Times as AWS writes them: "20130524T000000Z" in signatures, ISO 8601 with fractions in answers. UTC only.
import Glibc

public enum AWSTimestamp {
  /// "20130524T000000Z", the form of X-Amz-Date.
  public static func text(secondsSince1970: Int64) -> String {
    var time = time_t(secondsSince1970)
    var fields = tm()
    gmtime_r(&time, &fields)
    let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
    return "\(1900 + fields.tm_year)\(two(fields.tm_mon + 1))\(two(fields.tm_mday))T"
      + "\(two(fields.tm_hour))\(two(fields.tm_min))\(two(fields.tm_sec))Z"
  }

  /// Of "2009-10-12T17:50:30.000Z"; nil for anything else. Fractions are kept as nanoseconds.
  public static func parse(_ text: String) -> (seconds: Int64, nanoseconds: Int32)? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      bytes[10] == UInt8(ascii: "T"),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), bytes.last == UInt8(ascii: "Z"),
      let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
      let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]), let second = number(bytes[17..<19]),
      (1900...9999).contains(year), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
      second <= 60
    else { return nil }
    var nanoseconds: Int32 = 0
    if bytes.count > 20 {
      let digits = bytes[20..<bytes.count - 1].prefix(9)
      guard bytes[19] == UInt8(ascii: "."), let fraction = number(digits) else { return nil }
      nanoseconds = (digits.count..<9).reduce(fraction) { value, _ in value * 10 }
    }
    var fields = tm()
    fields.tm_year = year - 1900
    fields.tm_mon = month - 1
    (fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec) = (day, hour, minute, second)
    return (Int64(timegm(&fields)), nanoseconds)
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int32? {
    guard !digits.isEmpty, digits.count <= 9 else { return nil }
    var value: Int32 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int32(digit - UInt8(ascii: "0"))
    }
    return value
  }
}
