// A few threads for what blocks or takes long: hashing, and reading local files. Neither belongs on an event loop, nor
// for milliseconds on the pool that all tasks share.
import Crypto
import Dispatch
import NIOCore
import Synchronization

final class WorkThreads: Sendable {
  static let count = 2
  private let queues = (0..<count).map { DispatchQueue(label: "transfer.work.\($0)") }
  private let next = Atomic<Int>(0)

  func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
    let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
    let queue = queues[Int(UInt(bitPattern: turn) % UInt(queues.count))]
    return await withCheckedContinuation { answer in
      queue.async { answer.resume(returning: work()) }
    }
  }

  /// Hex of the SHA-256 of the readable bytes.
  func sha256(_ bytes: ByteBuffer) async -> String {
    if bytes.readableBytes <= Self.inlineBytes { return Self.hash(bytes) }
    return await run { Self.hash(bytes) }
  }

  /// Up to here a hash is quicker than the way to another thread and back.
  private static let inlineBytes = 32 * 1024

  private static func hash(_ bytes: ByteBuffer) -> String {
    bytes.withUnsafeReadableBytes { raw in
      var hash = SHA256()
      hash.update(bufferPointer: raw)
      return Hex.encode(hash.finalize())
    }
  }
}

enum Hex {
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
