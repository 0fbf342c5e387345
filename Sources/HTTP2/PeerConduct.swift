// What is remembered of a peer to tell mistakes and floods from ordinary use, in a few hundred bytes a connection.
import NIOCore

/// Tokens for what carries no call forward: idle frames, stream resets.
struct FrameBudget {
  private let burst: Int
  private let rate: Int
  private var tokens: Int
  private var filledAt = NIODeadline.now()
  /// What one request earns back: a peer that works may also ask and set things.
  private static let earning = 4

  init(burst: Int, rate: Int) {
    self.burst = burst
    self.rate = rate
    tokens = burst
  }

  mutating func earn() { tokens = min(burst, tokens + Self.earning) }

  /// False once the bucket is empty.
  mutating func spend(now: NIODeadline) -> Bool {
    tokens -= 1
    guard tokens < 0 else { return true }
    let earned = (now - filledAt).nanoseconds / 1_000_000 * Int64(rate) / 1000
    guard earned > 0 else { return false }
    filledAt = now
    tokens = Int(min(Int64(burst), earned)) - 1
    return tokens >= 0
  }
}

/// Server: the ids that a peer passed over. They count as closed (RFC 9113 section 5.1.1), which nghttp2 does not check.
struct SkippedStreams {
  /// How many gaps are remembered; frames for older ones are passed over in silence.
  static let remembered = 64

  private var gaps: [ClosedRange<Int32>] = []
  /// The highest id that the peer has opened.
  private(set) var highest: Int32 = 0

  mutating func opened(_ id: Int32) {
    let expected = highest == 0 ? 1 : highest + 2
    if id > expected, id & 1 == 1, expected <= id - 2 {
      if gaps.count == Self.remembered { gaps.removeFirst() }
      gaps.append(expected...(id - 2))
    }
    highest = id
  }

  func contains(_ id: Int32) -> Bool { gaps.contains { $0.contains(id) } }
}
