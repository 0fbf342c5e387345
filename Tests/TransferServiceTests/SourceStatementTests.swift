// What answers and read rights state of an object's bytes, and which of it counts.
import FerryAPI
import Testing
import Transport

@testable import TransferService

@Suite struct SourceStatementTests {
  static let content = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
  /// By other implementations: hashlib's and the AWS Common Runtime's.
  static let values = [
    "SHA256": "qK8Jm/LoeGCVWNv2nY+I9KMQQKjPhLVJoM+pEvEv/D8=", "CRC64NVME": "YK+tF3gdycc=", "CRC32C": "GjGOMA==",
    "CRC32": "dOP7QQ==", "SHA1": "rwsZHC3kb+E/4JCPWmpOkODK/EY=", "MD5": "y+y9sP3VzsHiQkk7YAjMeQ==",
  ]
  static let md5ETag = "\"cbecbdb0fdd5cec1e242493b6008cc79\""

  private func best(_ headers: [(String, String)]) -> SourceStatement? {
    .best(in: HTTPHeaders(headers.map { (name: $0.0, value: $0.1) }))
  }

  @Test(
    "each algorithm's value holds for the bytes it is of, and for no others",
    arguments: SourceStatement.Algorithm.allCases)
  func holds(_ algorithm: SourceStatement.Algorithm) throws {
    let statement = try #require(SourceStatement(algorithm, base64: Self.values[algorithm.rawValue] ?? ""))
    #expect(Self.content.withUnsafeBytes { statement.holds(for: $0) })
    var other = Self.content
    other[500] ^= 1
    #expect(!other.withUnsafeBytes { statement.holds(for: $0) })
    #expect(!Self.content.dropLast().withUnsafeBytes { statement.holds(for: $0) })
  }

  @Test("a value that is no base64, or of another length, states nothing", arguments: ["", "AAA", "AAAAAAA=", "%%%%%%%%"])
  func unreadable(_ value: String) {
    #expect(SourceStatement(.crc32, base64: value) == nil)
    #expect(SourceStatement(.crc64NVME, base64: value) == nil)
  }

  @Test("a stated checksum comes before the ETag, and the surer and quicker first")
  func order() {
    let md5 = ("ETag", Self.md5ETag), crc32 = ("x-amz-checksum-crc32", "dOP7QQ==")
    let sha1 = ("x-amz-checksum-sha1", Self.values["SHA1"] ?? "")
    let sha256 = ("x-amz-checksum-sha256", Self.values["SHA256"] ?? "")
    #expect(best([md5])?.algorithm == .md5)
    #expect(best([md5, sha1])?.algorithm == .sha1)
    #expect(best([md5, sha1, crc32])?.algorithm == .crc32)
    #expect(best([md5, sha1, crc32, sha256])?.algorithm == .sha256)
    #expect(best([("X-Amz-Checksum-Type", "FULL_OBJECT"), crc32])?.algorithm == .crc32)
    #expect(SourceStatement.best(of: ["CRC32", "SHA1", "XXHASH64"].map { name in
      Checksum.with { ($0.algorithm, $0.value) = (name, Self.values[name] ?? "AAAAAAAAAAA=") }
    })?.algorithm == .crc32)
    #expect(best([]) == nil)
  }

  @Test(
    "what is not of all the object's bytes states nothing",
    arguments: [
      [("x-amz-checksum-crc32", "dOP7QQ=="), ("x-amz-checksum-type", "COMPOSITE")],
      [("x-amz-checksum-crc32", "dOP7QQ==-3")], [("ETag", "\"cbecbdb0fdd5cec1e242493b6008cc79-3\"")],
      [("ETag", "\"cbecbdb0fdd5cec1e242493b6008cc7\"")], [("ETag", "\"0x8DCBECBDB0FDD5CEC1E242493B6008CC\"")],
      [("ETag", "W/\"cbecbdb0fdd5cec1e242493b6008cc79\"")],
      [("ETag", md5ETag), ("x-amz-server-side-encryption", "aws:kms")],
      [("ETag", md5ETag), ("x-amz-server-side-encryption", "aws:kms:dsse")],
      [("ETag", md5ETag), ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
      [("ETag", md5ETag), ("x-amz-storage-class", "EXPRESS_ONEZONE")],
      [("ETag", md5ETag), ("x-amz-checksum-crc32", "dOP7QQ==-1"), ("x-amz-checksum-type", "COMPOSITE")],
    ])
  func nothing(_ headers: [(String, String)]) {
    #expect(best(headers) == nil)
  }

  @Test(
    "an MD5 is one, in S3's ETag with or without quotes and Azure's header",
    arguments: [
      [("ETag", md5ETag)], [("ETag", "cbecbdb0fdd5cec1e242493b6008cc79")],
      [("ETag", "\"CBECBDB0FDD5CEC1E242493B6008CC79\""), ("x-amz-server-side-encryption", "AES256")],
      [("ETag", "\"0x8D4BCC2E4835CD0\""), ("Content-MD5", "y+y9sP3VzsHiQkk7YAjMeQ==")],
      [("x-ms-blob-content-md5", "y+y9sP3VzsHiQkk7YAjMeQ==")],
    ])
  func md5(_ headers: [(String, String)]) throws {
    let statement = try #require(best(headers))
    #expect(statement.algorithm == .md5)
    #expect(Self.content.withUnsafeBytes { statement.holds(for: $0) })
  }
}
