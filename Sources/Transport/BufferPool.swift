// Large buffers that are used again. Fresh memory of this size comes from the system page by page, and zeroed: of a large
// file's way through this program that would be a sixth.
import NIOCore
import Synchronization

public final class BufferPool: Sendable {
  /// Smaller ones don't come from the system one by one, and are not kept.
  public static let leastBytes = 256 << 10

  private let most: Int
  private let resting: Int
  private let spare = Mutex<[ByteBuffer]>([])

  /// - Parameters:
  ///   - most: buffers that are kept while nobody uses them.
  ///   - resting: of those given back, so many of the last are not given out yet: whoever sends them in its own time still
  ///     holds them, and one that is shared is no use.
  public init(most: Int, resting: Int = 0) { (self.most, self.resting) = (most, resting) }

  /// An empty buffer with room for `capacity` bytes.
  public func take(_ capacity: Int) -> ByteBuffer {
    guard capacity >= Self.leastBytes, var kept = kept(capacity) else {
      return ByteBufferAllocator().buffer(capacity: capacity)
    }
    kept.clear()
    return kept
  }

  /// The oldest: who gave it back is the surest to have let go of it. One that is still shared is replaced when it is cleared.
  private func kept(_ capacity: Int) -> ByteBuffer? {
    spare.withLock { spare in
      let index = spare.dropLast(resting).firstIndex { $0.capacity >= capacity }
      return index.map { spare.remove(at: $0) }
    }
  }

  /// Nobody may look at it any more.
  public func giveBack(_ buffer: ByteBuffer) {
    guard buffer.capacity >= Self.leastBytes else { return }
    spare.withLock { spare in
      spare.append(buffer)
      if spare.count > most { spare.removeFirst() }
    }
  }
}
