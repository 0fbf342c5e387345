// SHA-256 of a file whose chunks come in any order, and each perhaps more than once: a chunk waits until all before it are in.
// Its bytes are held that long; the chunks in flight are bounded, and the first of them waits for none. Where a server will be
// asked for a code of the whole file, that is made along with it.
import Crypto
import Destinations
import NIOCore

actor OrderedHash {
  private let threads: WorkThreads
  /// Nil if it isn't wanted, or is worth nothing any more.
  private var hash: SHA256?
  /// Chunks that are in.
  private let added = Milestone()
  /// Codes of those: one that comes again must be the same again.
  private var codes: [Int32: [UInt8]] = [:]
  private var whole: RunningCode?

  /// - Parameter whole: a code of all that is wanted, too.
  init(_ threads: WorkThreads, isWanted: Bool, whole: FileCode? = nil) {
    self.threads = threads
    hash = isWanted ? SHA256() : nil
    self.whole = whole.map { RunningCode($0) }
  }

  /// What was added is worth nothing any more; nobody waits for it.
  func forget() {
    (hash, codes) = (nil, [:])
    added.reach(.max)
  }

  var isRunning: Bool { hash != nil }

  /// - Parameter code: of the chunk's bytes; a chunk that comes again with another makes all be forgotten.
  /// - Returns: the digest up to the chunk's end; nil if nothing is hashed, or the chunk was in before.
  func add(
    _ index: Int32, _ bytes: ByteBuffer, _ code: [UInt8]? = nil
  ) async throws(CancellationError) -> String? {
    guard hash != nil else { return nil }
    try await added.until(index)
    guard let earlier = hash else { return nil }
    guard index == added.reached else {
      if codes[index] != code { forget() }
      return nil
    }
    codes[index] = code
    let next = await threads.run { [whole] in
      var (hash, whole) = (earlier, whole)
      bytes.withUnsafeReadableBytes { bytes in
        hash.update(bufferPointer: bytes)
        whole?.update(bytes)
      }
      return (hash: hash, whole: whole)
    }
    // Forgotten meanwhile, it stays so.
    if hash != nil { (hash, whole) = next }
    added.reach(index + 1)
    return Hex.encode(next.hash.finalize())
  }

  /// The code of all `count` chunks, if they are in; asked for once.
  func code(of count: Int32) -> [UInt8]? { hash != nil && added.reached == count ? whole?.finalize() : nil }

  /// Of all, if all `count` chunks are in.
  func digest(of count: Int32) -> String? {
    added.reached == count ? hash.map { Hex.encode($0.finalize()) } : nil
  }
}
