// Which of the hashes that a server computes itself a delivery relies on, and how the receipt names them.
import Destinations
import FerryAPI
import ServiceKit
import Transport

/// What a delivery makes of the hashes that a server computes itself.
struct RemoteHashing: Sendable {
  /// Of any part of a file.
  let hasSHA256: Bool
  /// The one that is asked for once, of a whole file.
  let whole: RemoteHash?

  /// - Parameter offered: by the server, strongest first.
  init(_ offered: [RemoteHash], _ proof: Proof) {
    hasSHA256 = offered.contains(.sha256)
    let isEnough: Set<RemoteHash> = hasSHA256 ? [.gmac] : proof == .checksum ? [.sha1, .md5, .crc32] : [.sha1, .md5]
    whole = proof == .size ? nil : offered.first(where: isEnough.contains)
  }

  /// What to ask of a file's whole. A key is the file's own, and of one run.
  func code(chunks: Int32) -> FileCode? {
    switch whole {
    case .gmac: chunks > 1 ? .gmac(GMACParameters(key: ChunkCodes.makeKey(), message: (0, 0))) : nil
    case .sha1: .sha1
    case .md5: .md5
    case .crc32: .crc32
    case .sha256, nil: nil
    }
  }

  /// As a receipt names what the server said; nil where that is as good as SHA-256.
  static func text(_ code: FileCode, _ value: [UInt8]) -> String? {
    let name: String
    switch code {
    case .gmac: return nil
    case .sha1: name = "sha1"
    case .md5: name = "md5"
    case .crc32: name = "crc32"
    }
    return name + ":" + Hex.encode(value)
  }
}
