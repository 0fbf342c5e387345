// The code that a server is asked for of a whole file (FileCode), made of the file's bytes as they are sent.
import Compressors
import Crypto
import Destinations
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
