// What the reader accepts, keeps and refuses.
import ProtoWire
import Testing

@Suite("Reading the wire format")
struct ReadingTests {
  @Test("a message with every kind of value at its extremes survives the round trip")
  func roundTrip() throws {
    let bytes = Sample.full.encodedBytes()
    let again = try Sample(decoding: bytes)
    #expect(again == Sample.full)
    #expect(again.unknownFields.isEmpty)
    #expect(again.encodedBytes() == bytes)
    #expect(again.float.sign == .minus)
  }

  @Test("bytes cut off anywhere are refused, or are a whole message up to there")
  func truncation() throws {
    let bytes = Sample.full.encodedBytes()
    var refused = 0
    for length in 0..<bytes.count {
      let cut = Array(bytes[..<length])
      do throws(WireError) {
        #expect(try Sample(decoding: cut).encodedBytes() == cut)
      } catch {
        #expect(error == .truncated)
        refused += 1
      }
    }
    #expect(refused > bytes.count / 2)
  }

  @Test("random bytes are refused or give a message that survives the round trip")
  func randomBytes() throws {
    var generator = SeededGenerator(state: 42)
    let full = Sample.full.encodedBytes()
    var accepted = 0
    for round in 0..<20_000 {
      var bytes: [UInt8]
      if round % 2 == 0 {
        bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
      } else {
        bytes = full
        for _ in 0...Int.random(in: 0...3, using: &generator) {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
        }
      }
      // Most of these are refused; what matters is that none is misread.
      guard let message = try? Sample(decoding: bytes) else { continue }
      accepted += 1
      let written = message.encodedBytes()
      #expect(try Sample(decoding: written).encodedBytes() == written)
    }
    #expect(accepted > 100)
  }

  @Test("a varint has at most 10 bytes")
  func varints() throws {
    let ones = [UInt8](repeating: 0xFF, count: 9)
    #expect(try Sample(decoding: [0x10] + ones + [0x01]).int64 == -1)
    #expect(throws: WireError.varintTooLong) { try Sample(decoding: [0x10] + ones + [0xFF, 0x01]) }
    #expect(throws: WireError.truncated) { try Sample(decoding: [0x10] + ones) }
    // Longer than needed is allowed.
    #expect(try Sample(decoding: [0x10, 0x85, 0x80, 0x00]).int64 == 5)
  }

  @Test("a varint that is too wide for its field is cut to its low bits")
  func wideVarints() throws {
    let wide: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0x7F]  // 2^35 - 1
    #expect(try Sample(decoding: [0x08] + wide).int32 == -1)
    #expect(try Sample(decoding: [0x18] + wide).uint32 == .max)
    #expect(try Sample(decoding: [0x68, 0x80, 0x80, 0x04]).bool)
  }

  @Test(
    "impossible tags are refused",
    arguments: [
      [0x00, 0x01], [0x0E], [0x0F], [0x80, 0x80, 0x80, 0x80, 0x10, 0x01],
    ] as [[UInt8]])
  func tags(_ bytes: [UInt8]) {
    #expect(throws: WireError.invalidTag) { try Sample(decoding: bytes) }
  }

  @Test("the largest field number is kept as an unknown field")
  func largestNumber() throws {
    let bytes: [UInt8] = [0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0x01]
    #expect(try Sample(decoding: bytes).encodedBytes() == bytes)
  }

  @Test(
    "a length beyond the end is refused",
    arguments: [[0x72, 0x05, 0x61], [0x72, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]] as [[UInt8]])
  func lengths(_ bytes: [UInt8]) {
    #expect(throws: WireError.truncated) { try Sample(decoding: bytes) }
  }

  @Test("a length of 2^64 - 1 is refused")
  func hugeLength() {
    let huge = [UInt8](repeating: 0xFF, count: 9) + [0x01]
    #expect(throws: WireError.truncated) { try Sample(decoding: [0x72] + huge) }
    #expect(throws: WireError.truncated) { try Sample(decoding: [0xA2, 0x01] + huge) }
  }

  @Test(
    "a string that is not UTF-8 is refused", arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]])
  func strings(_ text: [UInt8]) {
    #expect(throws: WireError.invalidUTF8) { try Sample(decoding: [0x72, UInt8(text.count)] + text) }
  }

  @Test("messages nest 100 deep and no deeper")
  func depth() throws {
    #expect(try Tree(decoding: Tree.nested(WireReader.maxDepth).encodedBytes()) == Tree.nested(WireReader.maxDepth))
    #expect(throws: WireError.tooDeep) { try Tree(decoding: Tree.nested(WireReader.maxDepth + 1).encodedBytes()) }
  }

  @Test("an unknown group is kept whole; one that is not closed, or closed by another, is refused")
  func groups() throws {
    let group: [UInt8] = [0xA3, 0x06, 0x08, 0x01, 0x13, 0x14, 0xA4, 0x06]  // group 100 { 1: 1, group 2 {} }
    #expect(try Sample(decoding: group).encodedBytes() == group)
    #expect(throws: WireError.truncated) { try Sample(decoding: Array(group.dropLast(2))) }
    #expect(throws: WireError.unbalancedGroup) { try Sample(decoding: [0xA3, 0x06, 0xAC, 0x06]) }
    #expect(throws: WireError.unbalancedGroup) { try Sample(decoding: [0xA4, 0x06]) }
    let deep = [UInt8](repeating: 0x1B, count: WireReader.maxDepth + 1)
    #expect(throws: WireError.tooDeep) { try Sample(decoding: deep) }
  }
}

@Suite("Merging and unknown fields")
struct MergingTests {
  @Test("of a single value that comes twice the last one counts")
  func lastOneWins() throws {
    let message = try Sample(decoding: [0x08, 0x01, 0x72, 0x01, 0x61, 0x08, 0x02, 0x72, 0x01, 0x62])
    #expect(message.int32 == 2 && message.text == "b")
    // Also if the last one is the default.
    #expect(try Sample(decoding: [0x08, 0x01, 0x08, 0x00]).int32 == 0)
  }

  @Test("a sub-message that comes twice is merged")
  func merge() throws {
    let first = Sample.with { $0.child = .with { $0.name = "first"; $0.size = 1; $0.tags = ["a"] } }
    let second = Sample.with { $0.child = .with { $0.size = 2; $0.tags = ["b"] } }
    let child = try #require(try Sample(decoding: first.encodedBytes() + second.encodedBytes()).child)
    #expect(child.name == "first" && child.size == 2 && child.tags == ["a", "b"])
  }

  @Test("repeated numbers are read packed, one by one, and mixed")
  func packed() throws {
    let packed: [UInt8] = [0x92, 0x01, 0x02, 0x01, 0x02]
    let single: [UInt8] = [0x90, 0x01, 0x03]
    #expect(try Sample(decoding: packed).numbers == [1, 2])
    #expect(try Sample(decoding: single + packed + single).numbers == [3, 1, 2, 3])
    #expect(try Sample(decoding: single + packed).unknownFields.isEmpty)
    #expect(try Sample(decoding: [0x92, 0x01, 0x00]).numbers.isEmpty)
    #expect(throws: WireError.truncated) { try Sample(decoding: [0x92, 0x01, 0x02, 0x01, 0x82]) }
  }

  @Test("negative and unnamed enumeration values are kept")
  func enumerations() throws {
    let message = Sample.with {
      $0.colour = Colour(rawValue: -5)
      $0.colours = [Colour(rawValue: .min), Colour(rawValue: 99)]
    }
    let bytes = message.encodedBytes()
    #expect(bytes.starts(with: [0x80, 0x01, 0xFB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]))
    #expect(try Sample(decoding: bytes) == message)
  }

  @Test("fields without a declaration are kept, in messages inside too, and written after the others")
  func unknown() throws {
    let unknown: [UInt8] = [0xB8, 0x3E, 0x2A, 0xBA, 0x3E, 0x01, 0x78]  // 999: 42, 999: "x"
    let inner = unknown + [0x0A, 0x01, 0x61]  // then name = "a"
    let message = try Sample(decoding: unknown + [0xA2, 0x01, UInt8(inner.count)] + inner + [0x08, 0x07])
    #expect(message.int32 == 7 && message.child?.name == "a")
    #expect(message.unknownFields.bytes == unknown && message.child?.unknownFields.bytes == unknown)
    let sorted = [0x08, 0x07, 0xA2, 0x01, UInt8(inner.count), 0x0A, 0x01, 0x61] + unknown + unknown
    #expect(message.encodedBytes() == sorted)
    #expect(message != Sample.with { $0.int32 = 7; $0.child = .with { $0.name = "a" } })
  }

  @Test("a field of another wire type than its declaration is kept as unknown")
  func otherWireType() throws {
    let bytes: [UInt8] = [0x0A, 0x01, 0x61, 0x75, 0x01, 0x00, 0x00, 0x00]  // 1: "a", 14: fixed32
    let message = try Sample(decoding: bytes)
    #expect(message.int32 == 0 && message.text.isEmpty && message.unknownFields.bytes == bytes)
    #expect(message.encodedBytes() == bytes)
  }

  @Test("a default is not written, but a value with presence is")
  func presence() throws {
    #expect(Sample().encodedBytes().isEmpty)
    let present = Sample.with { $0.note = "" }
    #expect(present.encodedBytes() == [0x9A, 0x01, 0x00])
    #expect(try Sample(decoding: present.encodedBytes()).note == "")
    #expect(try Sample(decoding: [] as [UInt8]).note == nil)
    #expect(try Sample(decoding: [0xA2, 0x01, 0x00]).child == Inner())
  }

  @Test(
    "a message inside is written with its exact length at every size",
    arguments: [0, 1, 126, 127, 128, 16_383, 16_384, 2_100_000])
  func lengths(_ size: Int) throws {
    let message = Sample.with { $0.child = .with { $0.name = String(repeating: "x", count: size) } }
    #expect(try Sample(decoding: message.encodedBytes()) == message)
  }
}
