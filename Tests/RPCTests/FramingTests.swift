// How arriving bytes are cut into messages, wherever the network cuts them and whenever the reader pauses.
import NIOCore
@testable import RPC
import Testing

@Suite("Message framing")
struct FramingTests {
  /// Numbers that look random and are the same in every run.
  private struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }

  private func feed(
    _ deframer: inout MessageDeframer, _ bytes: [UInt8], _ body: ([UInt8]) -> Bool
  ) throws(RPCError) {
    let buffer = ByteBuffer(bytes: bytes)
    let result: Result<Void, RPCError> = buffer.withUnsafeReadableBytes { bytes in
      do throws(RPCError) {
        try deframer.feed(bytes) { (message, _) throws(RPCError) in body(Array(message)) }
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }

  @Test("messages come out whole and in order however their bytes are cut", arguments: 1...50 as ClosedRange<UInt64>)
  func cuts(_ seed: UInt64) throws {
    var dice = Dice(state: seed)
    let messages = (0..<40).map { number in
      [UInt8](repeating: UInt8(number), count: Int.random(in: 0...(number % 7 == 0 ? 3000 : 20), using: &dice))
    }
    var bytes = messages.flatMap { framed($0) }[...]
    var deframer = MessageDeframer(maxMessageSize: 3000)
    var got: [[UInt8]] = []
    while !bytes.isEmpty {
      let piece = Array(bytes.prefix(Int.random(in: 1...400, using: &dice)))
      bytes = bytes.dropFirst(piece.count)
      try feed(&deframer, piece) {
        got.append($0)
        return true
      }
    }
    #expect(got == messages)
    #expect(deframer.isEmpty)
  }

  @Test("a reader that pauses after any message misses none", arguments: 1...50 as ClosedRange<UInt64>)
  func pauses(_ seed: UInt64) throws {
    var dice = Dice(state: seed)
    let messages = (0..<60).map { [UInt8](repeating: UInt8($0), count: Int.random(in: 0...30, using: &dice)) }
    var bytes = messages.flatMap { framed($0) }[...]
    var deframer = MessageDeframer(maxMessageSize: 30)
    var got: [[UInt8]] = []
    var pauses = false
    while !bytes.isEmpty || deframer.isStopped {
      let piece = Array(bytes.prefix(Int.random(in: 0...60, using: &dice)))
      bytes = bytes.dropFirst(piece.count)
      if pauses {
        piece.withUnsafeBytes { deframer.hold($0) }
        pauses = false
        continue
      }
      try feed(&deframer, piece) {
        got.append($0)
        pauses = Bool.random(using: &dice)
        return !pauses
      }
    }
    #expect(got == messages)
    #expect(deframer.isEmpty)
  }

  @Test("part of a message is not taken for the end of one")
  func partial() throws {
    let whole = framed([1, 2, 3])
    for length in 1..<whole.count {
      var deframer = MessageDeframer(maxMessageSize: 10)
      try feed(&deframer, Array(whole.prefix(length))) { _ in
        Issue.record("a message came of \(length) bytes")
        return true
      }
      #expect(!deframer.isEmpty)
      #expect(!deframer.isStopped)
    }
  }

  @Test("a length over the limit and an unknown flag are refused by the prefix alone")
  func refused() {
    for (prefix, code) in [
      ([0, 0xFF, 0xFF, 0xFF, 0xFF], StatusCode.resourceExhausted), ([0, 0, 0, 0, 11], .resourceExhausted),
      ([2, 0, 0, 0, 1], .internal), ([1, 0, 0, 0, 1], .internal),
    ] as [([UInt8], StatusCode)] {
      var deframer = MessageDeframer(maxMessageSize: 10)
      let error = #expect(throws: RPCError.self) { try feed(&deframer, prefix) { _ in true } }
      #expect(error?.code == code)
    }
  }
}
