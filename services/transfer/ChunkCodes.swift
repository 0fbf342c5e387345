// By what a chunk is known again after it came back: a code of its bytes as they were read from the source, journalled as soon
// as they are written, so that it holds for later runs too. Which code depends on who will compute the other: a server that
// hashes files gives SHA-256, of which the file's own to each chunk's end costs nothing more; what is read back here is told
// by GMAC, under a key of the delivery's that the server never learns, at a fifth of SHA-256's cost.
import Destinations
import FerryAPI
import ServiceKit
import Transport

/// What a written chunk's record says of its bytes.
enum ChunkEvidence: Sendable, Equatable {
  case sha256(String)
  case sha256FromStart(String)
  case gmac([UInt8])
}

/// Makes the codes of a delivery's chunks.
struct ChunkCodes: Sendable {
  let key: [UInt8]

  static func makeKey() -> [UInt8] { SystemRandom.bytes(GMACParameters.keyLength) }

  /// - Parameters:
  ///   - file: its index in the delivery.
  ///   - chunk: its index in the file.
  func parameters(file: Int32, chunk: Int32) -> GMACParameters {
    GMACParameters(key: key, message: (UInt32(bitPattern: file), UInt64(UInt32(bitPattern: chunk))))
  }
}

extension Chunk {
  var evidence: ChunkEvidence {
    if !gmac.isEmpty { return .gmac(gmac) }
    return sha256FromStart.isEmpty ? .sha256(sha256) : .sha256FromStart(sha256FromStart)
  }

  mutating func beWritten(_ evidence: ChunkEvidence) {
    forget()
    written = true
    switch evidence {
    case .sha256(let digest): sha256 = digest
    case .sha256FromStart(let digest): sha256FromStart = digest
    case .gmac(let code): gmac = code
    }
  }

  /// Where it is at the destination.
  var rangeThere: Range<Int64> {
    deliveredLength == 0 ? offset..<offset + length : deliveredOffset..<deliveredOffset + deliveredLength
  }

  mutating func take(_ packed: FilePacker.Packed) {
    (deliveredOffset, deliveredLength) = (packed.offset, Int64(packed.bytes.readableBytes))
    crc32 = packed.crc32
  }

  mutating func forgetPlace() { (deliveredOffset, deliveredLength, crc32) = (0, 0, 0) }

  mutating func forget() { (written, sha256, sha256FromStart, gmac) = (false, "", "", []) }

  /// These are the bytes that were read from the source.
  func isTold(by code: [UInt8]) -> Bool {
    switch evidence {
    case .sha256(let digest), .sha256FromStart(let digest): Hex.encode(code) == digest
    case .gmac(let expected): code == expected
    }
  }
}
