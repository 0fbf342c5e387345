// What scripts/fuzz found in the message reader. Each test is an input that once went wrong.
import ProtoWire
import Testing

@Suite("Findings of the fuzzer")
struct RegressionTests {
  /// Each occurrence copied all that the earlier ones had brought: 128 KB took seconds, a megabyte minutes.
  @Test("a sub-message that comes very often is merged in time that grows with its bytes")
  func manyMerges() throws {
    let occurrence: [UInt8] = [0xA2, 0x01, 0x03, 0x1A, 0x01, 0x61]  // child { tags: "a" }
    let count = 80_000
    let bytes = Array(repeatElement(occurrence, count: count).joined())
    let began = ContinuousClock.now
    let message = try Sample(decoding: bytes)
    #expect(message.child?.tags.count == count)
    // A second in a debug build; with the copies more than a minute.
    #expect(ContinuousClock.now - began < .seconds(10))
  }
}
