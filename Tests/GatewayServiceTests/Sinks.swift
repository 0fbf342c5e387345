// Where tests collect what is written or seen.
import HTTPTypes
import Hummingbird
import Synchronization

/// Collects a response's body.
final class Sink: ResponseBodyWriter, Sendable {
  private let buffer = Mutex(ByteBuffer())

  func write(_ bytes: ByteBuffer) async throws { buffer.withLock { _ = $0.writeImmutableBuffer(bytes) } }
  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}

  func text() -> String { buffer.withLock { String(buffer: $0) } }
}

/// What a fake service was asked.
final class Seen: Sendable {
  private let rows = Mutex<[[String]]>([])
  func add(_ row: [String]) { rows.withLock { $0.append(row) } }
  var all: [[String]] { rows.withLock { $0 } }
}
