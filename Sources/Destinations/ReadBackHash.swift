// What reading back computes of the bytes as they come, in order: the digest of all, and of each chunk the code it is told by.
import Crypto
import Synchronization
import Transport

/// Threads may take turns with it.
final class ReadBackHash: Sendable {
  private struct State {
    var all: SHA256?
    var chunk = SHA256()
    var code = ChunkCode.sha256FromStart
    var gmac: GMAC?
  }

  private let state: Mutex<State>

  /// - Parameter hashesWhole: the digest of all is wanted.
  init(hashesWhole: Bool) { state = Mutex(State(all: hashesWhole ? SHA256() : nil)) }

  /// Before a chunk's first byte.
  func begin(_ code: ChunkCode) {
    state.withLock { state in
      state.code = code
      switch code {
      case .sha256: state.chunk = SHA256()
      case .sha256FromStart: break
      case .gmac(let parameters):
        let gmac = state.gmac ?? GMAC()
        gmac.begin(parameters)
        state.gmac = gmac
      }
    }
  }

  func update(_ bytes: UnsafeRawBufferPointer) {
    state.withLock { state in
      state.all?.update(bufferPointer: bytes)
      switch state.code {
      case .sha256: state.chunk.update(bufferPointer: bytes)
      case .sha256FromStart: break
      case .gmac: state.gmac?.update(bytes)
      }
    }
  }

  /// The code of the chunk that ends here.
  func endChunk() -> [UInt8] {
    state.withLock { state in
      switch state.code {
      case .sha256: Array(state.chunk.finalize())
      case .sha256FromStart: state.all.map { Array($0.finalize()) } ?? []
      case .gmac: state.gmac?.finalize() ?? []
      }
    }
  }

  /// Of all that came, where it is wanted.
  func digest() -> ContentDigest? { state.withLock { state in state.all.map { ContentDigest(sha256: $0.finalize()) } } }
}

extension DestinationError {
  /// A digest was wanted and none came.
  static func unhashed(_ path: String) -> DestinationError {
    DestinationError(.failed, "\(path) was read back and not hashed.", nextStep: "Try again.", retryable: true)
  }
}

extension ChunkCode {
  /// Of a chunk that is all there is, SHA-256 needs to be computed once only.
  func simplified(isOnly: Bool, hashesWhole: Bool) -> ChunkCode {
    self == .sha256 && isOnly && hashesWhole ? .sha256FromStart : self
  }

  /// What a server that hashes would have to hash for it; nil if it can't compute this code.
  /// - Parameter start: of the first chunk.
  func hashedRange(of chunk: Range<Int64>, from start: Int64) -> Range<Int64>? {
    switch self {
    case .sha256: chunk
    case .sha256FromStart: start..<chunk.upperBound
    case .gmac: nil
    }
  }
}
