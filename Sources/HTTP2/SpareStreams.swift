// Streams that have ended, kept for the next ones of their connection. With them goes the memory of their answers, most of
// which are short and of about the same length.

struct SpareStreams: ~Copyable {
  /// Streams that are kept, and the bytes that each may keep of its answer's memory.
  static let maxCount = 32
  static let maxBytes = 256

  private var streams: [HTTP2Stream] = []

  mutating func take() -> HTTP2Stream? { streams.popLast() }

  /// Keeps a stream that is closed, if nobody else does.
  mutating func add(_ stream: consuming HTTP2Stream) {
    guard streams.count < Self.maxCount, isKnownUniquelyReferenced(&stream) else { return }
    streams.append(stream)
  }
}
