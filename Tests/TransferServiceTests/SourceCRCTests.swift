// The CRCs against their catalogued values and another implementation's (the AWS Common Runtime's), and pieces put together.
import Testing

@testable import TransferService

@Suite struct SourceCRCTests {
  private static let all: [(SourceCRC, check: UInt64, ofMany: UInt64)] = [
    (.crc64NVME, 0xAE8B_1486_0A79_9888, 0x55B1_374E_09ED_6F31), (.crc32c, 0xE306_9283, 0x5C2B_F0C5),
    (.crc32, 0xCBF4_3926, 0xD4D4_B76E),
  ]
  private static let many = (0..<1_000_003).map { UInt8(truncatingIfNeeded: ($0 * $0) >> 3) }

  private func checksum(_ crc: SourceCRC, _ bytes: some Collection<UInt8>, after: UInt64 = 0) -> UInt64 {
    Array(bytes).withUnsafeBytes { crc.checksum($0, after: after) }
  }

  @Test(
    "the check value of \"123456789\" is the catalogue's, and that of a million bytes another implementation's",
    arguments: 0..<3)
  func values(_ which: Int) {
    let (crc, check, ofMany) = Self.all[which]
    #expect(checksum(crc, "123456789".utf8) == check)
    #expect(checksum(crc, Self.many) == ofMany)
    #expect(checksum(crc, []) == 0)
  }

  @Test("bytes given in two goes, at any place, have the check of all", arguments: 0..<3)
  func twoGoes(_ which: Int) {
    let crc = Self.all[which].0
    let bytes = Self.many.prefix(80)
    let whole = checksum(crc, bytes)
    for place in 0...80 {
      let first = checksum(crc, bytes.prefix(place))
      #expect(checksum(crc, bytes.dropFirst(place), after: first) == whole)
      let second = checksum(crc, bytes.dropFirst(place))
      #expect(crc.combine(first, second, secondLength: Int64(80 - place)) == whole)
    }
  }

  @Test("pieces are put together from their checks alone", arguments: 0..<3)
  func combined(_ which: Int) {
    let (crc, _, ofMany) = Self.all[which]
    var (whole, start) = (UInt64(0), 0)
    for length in [1, 65_536, 0, 300_001, 7, 634_458] {
      let piece = checksum(crc, Self.many[start..<start + length])
      whole = crc.combine(whole, piece, secondLength: Int64(length))
      start += length
    }
    #expect(start == Self.many.count)
    #expect(whole == ofMany)
  }

  @Test("lengths of terabytes are put together in steps that grow with their logarithm", arguments: 0..<3)
  func terabytes(_ which: Int) {
    let crc = Self.all[which].0
    // Zero bytes twice as many each time, by putting two equal halves together.
    var (zeros, length) = (checksum(crc, [0]), Int64(1))
    while length < 1 << 42 {
      zeros = crc.combine(zeros, zeros, secondLength: length)
      length *= 2
    }
    let one = checksum(crc, [1])
    let atOnce = crc.combine(one, zeros, secondLength: length)
    // The same length in two unequal parts.
    let shorter = crc.combine(one, checksum(crc, [0]), secondLength: 1)
    var (rest, restLength) = (checksum(crc, [0]), Int64(1))
    for bit in 1..<42 {
      let half = (0..<bit).reduce((checksum(crc, [0]), Int64(1))) { so, _ in
        (crc.combine(so.0, so.0, secondLength: so.1), so.1 * 2)
      }
      rest = crc.combine(rest, half.0, secondLength: half.1)
      restLength += half.1
    }
    #expect(restLength + 1 == length)
    #expect(crc.combine(shorter, rest, secondLength: restLength) == atOnce)
  }

  @Test("a value is written with its most significant byte first")
  func written() {
    #expect(SourceCRC.crc32.bytes(0x0102_0304) == [1, 2, 3, 4])
    #expect(SourceCRC.crc64NVME.bytes(0x0102_0304_0506_0708) == [1, 2, 3, 4, 5, 6, 7, 8])
  }
}
