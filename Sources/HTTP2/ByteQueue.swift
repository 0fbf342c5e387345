// Bytes that wait: what a stream has yet to send, what a header block has brought so far. One block of memory that grows
// and is used again.

struct ByteQueue: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  private var head = 0
  private var tail = 0
  /// Memory to begin with, so that what is filled and given back again and again does not grow by steps each time.
  private var firstCapacity = leastCapacity

  private static let leastCapacity = 64

  init() {}
  deinit { base?.deallocate() }

  var count: Int { tail - head }
  var isEmpty: Bool { tail == head }

  /// What waits; valid until the queue is next changed.
  var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base.map { $0 + head }, count: tail - head) }

  @inline(__always)
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    if capacity - tail < bytes.count { makeRoom(bytes.count) }
    guard let base else { return }
    (base + tail).copyMemory(from: source, byteCount: bytes.count)
    tail += bytes.count
  }

  /// Takes a block of memory with what it holds in place of a copy, and frees it with `deallocate`. Only while the queue is empty.
  mutating func adopt(_ block: UnsafeMutableRawPointer, capacity: Int, count: Int) {
    precondition(isEmpty, "a block can't be adopted behind bytes that wait")
    base?.deallocate()
    (base, self.capacity, head, tail) = (block, capacity, 0, count)
  }

  /// Has `body` write up to `most` bytes behind the others; it returns how many, or nil to leave all as it was.
  @inline(__always)
  mutating func append(most: Int, _ body: (UnsafeMutableRawPointer) -> Int?) -> Int? {
    if capacity - tail < most { makeRoom(most) }
    guard let base, let written = body(base + tail) else { return nil }
    tail += written
    return written
  }

  /// Memory for at most that much, used or not.
  var capacityInBytes: Int { capacity }

  /// Empties the queue and leaves its block to the caller, which frees it with `deallocate`.
  mutating func surrender() -> UnsafeMutableRawPointer? {
    defer {
      base = nil
      capacity = 0
      clear()
    }
    return base
  }

  private mutating func makeRoom(_ more: Int) {
    let waiting = count
    if let base, capacity - waiting >= more, head >= capacity / 2 {
      base.copyMemory(from: base + head, byteCount: waiting)
    } else {
      // An exact fit at first: most streams carry one message.
      let size = waiting == 0 && capacity == 0 ? max(more, firstCapacity) : max(capacity * 2, waiting + more)
      let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
      if let base {
        larger.copyMemory(from: base + head, byteCount: waiting)
        base.deallocate()
      }
      base = larger
      capacity = size
    }
    head = 0
    tail = waiting
  }

  mutating func consume(_ bytes: Int) {
    head += min(bytes, count)
    if head == tail { clear() }
  }

  /// Drops what was appended last, down to `count` bytes.
  mutating func truncate(to count: Int) { tail = head + min(count, self.count) }

  mutating func overwrite<Value: BitwiseCopyable>(at index: Int, with value: Value) {
    precondition(index >= 0 && index + MemoryLayout<Value>.size <= count, "only bytes that wait can be overwritten")
    base?.storeBytes(of: value, toByteOffset: head + index, as: Value.self)
  }

  /// Empties the queue and keeps its memory.
  mutating func clear() {
    head = 0
    tail = 0
  }

  /// Empties the queue, and gives its memory back if that is more than `bytes`; what was used of it comes back at once.
  mutating func clear(keeping bytes: Int) {
    firstCapacity = max(Self.leastCapacity, tail)
    if capacity > bytes { release() } else { clear() }
  }

  /// Empties the queue and gives its memory back.
  mutating func release() {
    base?.deallocate()
    base = nil
    capacity = 0
    clear()
  }
}
