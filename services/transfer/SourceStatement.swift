// What a storage provider states of an object's bytes, in a read right or in the answer to a read, and whether bytes that
// were read are those. Only statements about all of an object's bytes count: a checksum of its parts' checksums, or an ETag
// that is no MD5, says nothing here.
import Crypto
import FerryAPI
import FoundationEssentials
import NIOCore
import Transport

struct SourceStatement: Sendable, Equatable {
  /// The best first: what is sure, then what is quick.
  enum Algorithm: String, CaseIterable, Sendable {
    case sha256 = "SHA256"
    case crc64NVME = "CRC64NVME"
    case crc32c = "CRC32C"
    case crc32 = "CRC32"
    case sha1 = "SHA1"
    case md5 = "MD5"

    var byteCount: Int {
      switch self {
      case .sha256: 32
      case .sha1: 20
      case .md5: 16
      case .crc64NVME: 8
      case .crc32c, .crc32: 4
      }
    }

    /// Those whose value for a whole can be had from the values of its pieces.
    var crc: SourceCRC? {
      switch self {
      case .crc64NVME: .crc64NVME
      case .crc32c: .crc32c
      case .crc32: .crc32
      case .sha256, .sha1, .md5: nil
      }
    }

    /// As people write it.
    var name: String {
      switch self {
      case .sha256: "SHA-256"
      case .sha1: "SHA-1"
      case .crc64NVME, .crc32c, .crc32, .md5: rawValue
      }
    }
  }

  /// Up to here checking is quicker than the way to another thread and back.
  fileprivate static let inlineBytes = 32 * 1024

  let algorithm: Algorithm
  let value: [UInt8]

  init(_ algorithm: Algorithm, _ value: [UInt8]) {
    self.algorithm = algorithm
    self.value = value
  }

  /// Nil for what isn't base64 of as many bytes as the algorithm has.
  init?(_ algorithm: Algorithm, base64: String) {
    guard let value = Data(base64Encoded: base64), value.count == algorithm.byteCount else { return nil }
    self.init(algorithm, Array(value))
  }

  /// The best of those in a read right.
  static func best(of checksums: [Checksum]) -> SourceStatement? {
    let known = checksums.compactMap { checksum in
      Algorithm(rawValue: checksum.algorithm.uppercased()).flatMap { SourceStatement($0, base64: checksum.value) }
    }
    return Algorithm.allCases.lazy.compactMap { algorithm in known.first { $0.algorithm == algorithm } }.first
  }

  /// The best in an answer that holds the whole object.
  static func best(in headers: HTTPHeaders) -> SourceStatement? {
    checksum(in: headers) ?? md5ETag(in: headers)
      // Azure's, of the whole blob; "Get Blob", Azure Storage REST API.
      ?? (headers["x-ms-blob-content-md5"] ?? headers["content-md5"]).flatMap { SourceStatement(.md5, base64: $0) }
  }

  /// S3 sends them where the request has x-amz-checksum-mode; "GetObject", Amazon S3 API Reference.
  private static func checksum(in headers: HTTPHeaders) -> SourceStatement? {
    guard headers["x-amz-checksum-type"]?.uppercased() != "COMPOSITE" else { return nil }
    return Algorithm.allCases.lazy.compactMap { algorithm in
      headers["x-amz-checksum-\(algorithm.rawValue.lowercased())"].flatMap { SourceStatement(algorithm, base64: $0) }
    }.first
  }

  /// Of the parts' checksums: by its type, or, where a server sends none, by the count of parts behind it: "...-3".
  private static func isComposite(_ headers: HTTPHeaders) -> Bool {
    headers["x-amz-checksum-type"]?.uppercased() == "COMPOSITE"
      || headers.contains { field in
        field.name.lowercased().hasPrefix("x-amz-checksum-") && field.name.lowercased() != "x-amz-checksum-type"
          && field.value.contains("-")
      }
  }

  /// S3's ETag is the bytes' MD5 unless the object came in parts ("...-3"), is encrypted with a key that is not S3's own, or
  /// is in a directory bucket; "Object", Amazon S3 API Reference.
  private static func md5ETag(in headers: HTTPHeaders) -> SourceStatement? {
    let encryption = headers["x-amz-server-side-encryption"]
    guard encryption == nil || encryption?.uppercased() == "AES256",
      headers["x-amz-server-side-encryption-aws-kms-key-id"] == nil,
      headers["x-amz-server-side-encryption-customer-algorithm"] == nil,
      headers["x-amz-storage-class"]?.uppercased() != "EXPRESS_ONEZONE", !isComposite(headers),
      let etag = headers["etag"].map(EntityTag.quoted), etag.utf8.count == 34,
      let value = [UInt8](hexadecimal: etag.dropFirst().dropLast())
    else { return nil }
    return SourceStatement(.md5, value)
  }

  /// Takes a moment with many bytes: call it on a work thread.
  func holds(for bytes: UnsafeRawBufferPointer) -> Bool {
    switch algorithm {
    case .sha256: Self.digest(SHA256(), bytes) == value
    case .sha1: Self.digest(Insecure.SHA1(), bytes) == value
    case .md5: Self.digest(Insecure.MD5(), bytes) == value
    case .crc64NVME, .crc32c, .crc32:
      algorithm.crc.map { $0.bytes($0.checksum(bytes)) } == value
    }
  }

  private static func digest(_ function: some HashFunction, _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var function = function
    function.update(bufferPointer: bytes)
    return Array(function.finalize())
  }
}

extension WorkThreads {
  /// Runs over the readable bytes, elsewhere if they are many.
  func over<Value: Sendable>(
    _ bytes: ByteBuffer, _ work: @escaping @Sendable (UnsafeRawBufferPointer) -> Value
  ) async -> Value {
    if bytes.readableBytes <= SourceStatement.inlineBytes { return bytes.withUnsafeReadableBytes(work) }
    return await run { bytes.withUnsafeReadableBytes(work) }
  }
}
