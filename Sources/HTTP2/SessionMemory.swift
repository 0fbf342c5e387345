// The memory of one nghttp2 session. A call makes nghttp2 ask for some twenty small blocks and give them back in another
// order; blocks of a size are kept here for the next call, which costs a tenth of what malloc does for so many at once.
import CNghttp2

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Confined to its connection's event loop, like the session that it serves.
final class SessionMemory {
  /// Blocks of 32, 64, ... bytes are kept; larger ones are the system's.
  private static let unit = 32
  private static let classes = 16
  /// Before each block: its class, or `classes` for the system's, and its size. Blocks stay aligned for any C type.
  private static let headerSize = 16
  /// Bytes kept of all sizes together.
  private static let maxKept = 256 << 10

  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private var kept = 0

  init() {
    free = .allocate(capacity: Self.classes)
    free.initialize(repeating: nil, count: Self.classes)
  }

  deinit {
    for index in 0..<Self.classes {
      var next = free[index]
      while let block = next {
        next = block.load(as: UnsafeMutableRawPointer?.self)
        systemFree(block - Self.headerSize)
      }
    }
    free.deallocate()
  }

  private func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    let index = size == 0 ? 0 : (size - 1) / Self.unit
    if index < Self.classes, let block = free[index] {
      free[index] = block.load(as: UnsafeMutableRawPointer?.self)
      kept -= (index + 1) * Self.unit
      return block
    }
    let capacity = index < Self.classes ? (index + 1) * Self.unit : size
    guard let start = malloc(capacity + Self.headerSize) else { return nil }
    start.storeBytes(of: min(index, Self.classes), as: Int.self)
    start.storeBytes(of: capacity, toByteOffset: MemoryLayout<Int>.size, as: Int.self)
    return start + Self.headerSize
  }

  private func release(_ block: UnsafeMutableRawPointer) {
    let start = block - Self.headerSize
    let index = start.load(as: Int.self)
    guard index < Self.classes, kept < Self.maxKept else {
      systemFree(start)
      return
    }
    block.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
    free[index] = block
    kept += (index + 1) * Self.unit
  }

  private func resize(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    guard let block else { return allocate(size) }
    let capacity = (block - Self.headerSize).load(fromByteOffset: MemoryLayout<Int>.size, as: Int.self)
    if size <= capacity { return block }
    guard let larger = allocate(size) else { return nil }
    larger.copyMemory(from: block, byteCount: capacity)
    release(block)
    return larger
  }

  /// The same as nghttp2 takes it; it must not be used after this object is gone.
  var functions: nghttp2_mem {
    nghttp2_mem(
      mem_user_data: Unmanaged.passUnretained(self).toOpaque(),
      malloc: { size, owner in SessionMemory.with(owner) { $0.allocate(size) } },
      free: { block, owner in
        guard let block else { return }
        _ = SessionMemory.with(owner) {
          $0.release(block)
          return nil
        }
      },
      calloc: { count, size, owner in
        let (total, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow else { return nil }
        return SessionMemory.with(owner) { memory in
          guard let block = memory.allocate(total) else { return nil }
          memset(block, 0, total)
          return block
        }
      },
      realloc: { block, size, owner in SessionMemory.with(owner) { $0.resize(block, size) } })
  }

  private static func with(
    _ owner: UnsafeMutableRawPointer?, _ body: (SessionMemory) -> UnsafeMutableRawPointer?
  ) -> UnsafeMutableRawPointer? {
    guard let owner else { return nil }
    return Unmanaged<SessionMemory>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
  }
}

/// The class has a property of that name.
private func systemFree(_ block: UnsafeMutableRawPointer) { free(block) }
