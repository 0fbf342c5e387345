// The memory of streams that have ended, for the answers of the next ones: most are short and of about the same length.

struct SpareBlocks: ~Copyable {
  /// Blocks that are kept, and the bytes of the largest of them.
  static let maxCount = 32
  static let maxBytes = 256

  private var blocks: [(start: UnsafeMutableRawPointer, capacity: Int)] = []

  deinit { for block in blocks { block.start.deallocate() } }

  /// Gives an empty queue memory for so many bytes, if there is some.
  mutating func lend(_ bytes: Int, to queue: inout ByteQueue) {
    guard bytes <= Self.maxBytes, let block = blocks.popLast() else { return }
    if block.capacity >= bytes {
      queue.adopt(block.start, capacity: block.capacity, count: 0)
    } else {
      // Answers have become longer.
      block.start.deallocate()
    }
  }

  /// Empties a queue and takes its memory.
  mutating func takeBack(_ queue: inout ByteQueue) {
    let capacity = queue.capacityInBytes
    guard let block = queue.surrender() else { return }
    if capacity <= Self.maxBytes, blocks.count < Self.maxCount {
      blocks.append((block, capacity))
    } else {
      block.deallocate()
    }
  }
}
