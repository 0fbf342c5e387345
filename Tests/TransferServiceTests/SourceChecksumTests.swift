// An object read in pieces against its checksum: any order, any piece again, and no verdict where one is missing.
import Testing

@testable import TransferService

@Suite struct SourceChecksumTests {
  private static let content = SourceStatementTests.content
  private static let pieces: [Range<Int64>] = [600..<900, 0..<300, 900..<1000, 300..<600]

  private func checksum(_ algorithm: SourceStatement.Algorithm) throws -> SourceChecksum {
    let stated = try #require(SourceStatement(algorithm, base64: SourceStatementTests.values[algorithm.rawValue] ?? ""))
    return try #require(SourceChecksum(stated, size: 1000))
  }

  private func add(_ range: Range<Int64>, of bytes: [UInt8] = content, to checksum: inout SourceChecksum) throws {
    let crc = try #require(checksum.crc)
    let value = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]).withUnsafeBytes { crc.checksum($0) }
    checksum.add(value, of: range)
  }

  @Test("pieces in any order are put together", arguments: [.crc64NVME, .crc32c, .crc32] as [SourceStatement.Algorithm])
  func anyOrder(_ algorithm: SourceStatement.Algorithm) throws {
    var checksum = try checksum(algorithm)
    for piece in Self.pieces {
      #expect(checksum.holds(sha256: "") == nil)
      try add(piece, to: &checksum)
    }
    #expect(checksum.holds(sha256: "") == true)
  }

  @Test("one changed byte shows, and reading that piece again mends it")
  func changed() throws {
    var checksum = try checksum(.crc64NVME)
    var broken = Self.content
    broken[450] ^= 0x20
    for piece in Self.pieces { try add(piece, of: broken, to: &checksum) }
    #expect(checksum.holds(sha256: "") == false)
    try add(300..<600, to: &checksum)
    #expect(checksum.holds(sha256: "") == true)
  }

  @Test("pieces that leave a gap or overrun the end say nothing")
  func gaps() throws {
    var checksum = try checksum(.crc32)
    for piece in [0..<300, 301..<1000] as [Range<Int64>] { try add(piece, to: &checksum) }
    #expect(checksum.holds(sha256: "") == nil)
    checksum.add(0, of: 300..<1001)
    #expect(checksum.holds(sha256: "") == nil)
  }

  @Test("a stated SHA-256 is compared with the file's own; an MD5 or SHA-1 needs the bytes in order and is left out")
  func others() throws {
    let sha256 = try checksum(.sha256)
    #expect(sha256.crc == nil)
    #expect(sha256.holds(sha256: "a8af099bf2e878609558dbf69d8f88f4a31040a8cf84b549a0cfa912f12ffc3f") == true)
    #expect(sha256.holds(sha256: "00") == false)
    #expect(SourceChecksum(SourceStatement(.md5, Array(repeating: 0, count: 16)), size: 1) == nil)
    #expect(SourceChecksum(SourceStatement(.sha1, Array(repeating: 0, count: 20)), size: 1) == nil)
  }
}
