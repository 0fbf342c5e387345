// Timestamp's conversions.
import FerryAPI
import FoundationEssentials
import Testing

@Suite("Timestamps")
struct TimestampTests {
  @Test(
    "RFC 3339 text is written and read back",
    arguments: zip(
      [
        Timestamp(seconds: 0), Timestamp(seconds: 0, nanos: 1), Timestamp(seconds: -1, nanos: 999_000_000),
        Timestamp(seconds: 951_782_400), Timestamp(seconds: 1_709_251_199, nanos: 120_000),
        Timestamp(seconds: Timestamp.textRange.lowerBound),
        Timestamp(seconds: Timestamp.textRange.upperBound, nanos: 999_999_999),
      ],
      [
        "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z", "1969-12-31T23:59:59.999Z", "2000-02-29T00:00:00Z",
        "2024-02-29T23:59:59.000120Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
      ]))
  func text(_ timestamp: Timestamp, _ text: String) {
    #expect(timestamp.description == text)
    #expect(Timestamp(rfc3339: text) == timestamp)
  }

  @Test("every day of 800 years is written and read back in order")
  func days() {
    var last = ""
    for day in Int64(-146_097)...146_097 {
      let timestamp = Timestamp(seconds: day * 86_400 + 86_399)
      let text = timestamp.description
      #expect(text > last && Timestamp(rfc3339: text) == timestamp)
      last = text
    }
  }

  @Test("an offset is taken into account")
  func offsets() {
    #expect(Timestamp(rfc3339: "1970-01-01T01:30:00+01:30") == Timestamp(seconds: 0))
    #expect(Timestamp(rfc3339: "1969-12-31t19:00:00.5-05:00") == Timestamp(seconds: 0, nanos: 500_000_000))
  }

  @Test(
    "anything else is refused",
    arguments: [
      "", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01 00:00:00Z", "1970-1-1T00:00:00Z", "1970-13-01T00:00:00Z",
      "1970-00-01T00:00:00Z", "1970-01-32T00:00:00Z", "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
      "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00.Z",
      "1970-01-01T00:00:00.0000000001Z", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+0100",
      "1970-01-01T00:00:00Zx", "0000-12-31T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
      "１970-01-01T00:00:00Z", "+970-01-01T00:00:00Z",
    ])
  func refused(_ text: String) {
    #expect(Timestamp(rfc3339: text) == nil)
  }

  @Test("milliseconds round down and never overflow")
  func milliseconds() {
    #expect(Timestamp(milliseconds: 1500) == Timestamp(seconds: 1, nanos: 500_000_000))
    #expect(Timestamp(milliseconds: -1) == Timestamp(seconds: -1, nanos: 999_000_000))
    #expect(Timestamp(seconds: -1, nanos: 999_999_999).milliseconds == -1)
    #expect(Timestamp(milliseconds: .min).milliseconds == .min && Timestamp(milliseconds: .max).milliseconds == .max)
    #expect(Timestamp(seconds: .max).milliseconds == .max && Timestamp(seconds: .min).milliseconds == .min)
    #expect(Timestamp(seconds: 0, nanos: .min).milliseconds == -2148)
  }

  @Test("a time that RFC 3339 cannot say has a description all the same")
  func invalid() {
    #expect(Timestamp(seconds: .max, nanos: -1).description == "9223372036854775807 s + -1 ns since 1970")
  }

  @Test("dates are kept to the microsecond, and impossible ones are brought to the nearest end")
  func dates() {
    let timestamp = Timestamp(seconds: 1_700_000_000, nanos: 123_456_000)
    #expect(Timestamp(date: timestamp.date) == timestamp)
    #expect(Timestamp(date: Date(timeIntervalSince1970: -0.25)) == Timestamp(seconds: -1, nanos: 750_000_000))
    #expect(Timestamp(date: Date(timeIntervalSince1970: 1e300)).isValid)
    #expect(Timestamp(date: Date(timeIntervalSince1970: -.infinity)).isValid)
  }

  @Test("now lies between two readings of Foundation's clock")
  func now() {
    let before = Date().timeIntervalSince1970 - 1
    let now = Timestamp.now()
    #expect(now.isValid && now.date.timeIntervalSince1970 > before)
    #expect(now.date.timeIntervalSince1970 < Date().timeIntervalSince1970 + 1)
  }

  @Test("timestamps are ordered by time")
  func order() {
    let times = [Timestamp(seconds: -1, nanos: 5), Timestamp(seconds: 0), Timestamp(seconds: 0, nanos: 1)]
    #expect(times.shuffled().sorted() == times)
  }
}
