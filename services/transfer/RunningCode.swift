// The code that a server is asked for of a whole file (FileCode), made of the file's bytes as they are sent.
import Compressors
import Crypto
import Destinations
import FerryAPI
import ServiceKit
import Transport

struct RunningCode: Sendable {
  private enum State {
    case gmac(GMAC)
    case sha1(Insecure.SHA1)
    case md5(Insecure.MD5)
    case crc32(UInt32)
  }

  private var state: State

  init(_ code: FileCode) {
    switch code {
    case .gmac(let parameters):
      let gmac = GMAC()
      gmac.begin(parameters)
      state = .gmac(gmac)
    case .sha1: state = .sha1(Insecure.SHA1())
    case .md5: state = .md5(Insecure.MD5())
    case .crc32: state = .crc32(0)
    }
  }

  /// The next bytes, in order, each once.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch state {
    case .gmac(let gmac): gmac.update(bytes)
    case .sha1(var hash):
      hash.update(bufferPointer: bytes)
      state = .sha1(hash)
    case .md5(var hash):
      hash.update(bufferPointer: bytes)
      state = .md5(hash)
    case .crc32(let before): state = .crc32(CRC32.of(bytes, after: before))
    }
  }

  /// For once.
  func finalize() -> [UInt8] {
    switch state {
    case .gmac(let gmac): gmac.finalize()
    case .sha1(let hash): Array(hash.finalize())
    case .md5(let hash): Array(hash.finalize())
    case .crc32(let sum): withUnsafeBytes(of: sum.bigEndian, Array.init)
    }
  }
}

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
    switch code {
    case .gmac: nil
    case .sha1: "sha1:" + Hex.encode(value)
    case .md5: "md5:" + Hex.encode(value)
    case .crc32: "crc32:" + Hex.encode(value)
    }
  }
}
