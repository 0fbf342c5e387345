// Repeated messages that are read a whole run at a time, and the edges of what is read or written several bytes at a
// time.
import ProtoWire
import Testing

@Suite("Runs of repeated messages")
struct RunTests {
  static func outcome<M: Message>(_ type: M.Type, _ bytes: [UInt8]) -> Result<[UInt8], WireError> {
    do throws(WireError) {
      return .success(try M(decoding: bytes).encodedBytes())
    } catch { return .failure(error) }
  }

  @Test("runs, runs broken by other fields and single ones keep their order")
  func order() throws {
    let near = Runs.with { $0.near = ["a", "b", "c"].map { name in .with { $0.name = name } } }.encodedBytes()
    let far = Runs.with { $0.far = ["x", "y"].map { name in .with { $0.name = name } } }.encodedBytes()
    let unknown: [UInt8] = [0xB8, 0x3E, 0x2A]  // 999: 42
    let read = try Runs(decoding: near + far + unknown + near + near + far)
    #expect(read.near.map(\.name) == ["a", "b", "c", "a", "b", "c", "a", "b", "c"])
    #expect(read.far.map(\.name) == ["x", "y", "x", "y"])
    #expect(read.unknownFields.bytes == unknown)
  }

  @Test("unknown fields in one message of a run stay in it")
  func unknown() throws {
    let bytes: [UInt8] = [0x0A, 0x03, 0xB8, 0x3E, 0x2A, 0x0A, 0x00]
    let read = try Runs(decoding: bytes)
    #expect(read.near.count == 2 && read.near[0].unknownFields.bytes == [0xB8, 0x3E, 0x2A])
    #expect(read.near[1].unknownFields.isEmpty && read.unknownFields.isEmpty)
    #expect(read.encodedBytes() == bytes)
  }

  @Test("a field of the run's number and another wire type is kept as unknown")
  func otherWireType() throws {
    let read = try Runs(decoding: [0x0A, 0x00, 0x08, 0x05, 0x0A, 0x00])
    #expect(read.near.count == 2 && read.unknownFields.bytes == [0x08, 0x05])
  }

  @Test("whatever the bytes, a run gives the message or the error that reading one by one gives")
  func sameAsSingles() throws {
    var generator = SeededGenerator(state: 7)
    let whole = Runs.with {
      $0.near = (0..<6).map { number in .with { $0.name = "n\(number)"; $0.size = Int64(number) << 20 } }
      $0.far = (0..<4).map { number in .with { $0.tags = ["\(number)", "ö"] } }
    }.encodedBytes()
    var refused = 0
    for _ in 0..<20_000 {
      var bytes = whole
      for _ in 0...Int.random(in: 0...2, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
      }
      if Bool.random(using: &generator), Bool.random(using: &generator) { bytes.removeLast() }
      let outcome = Self.outcome(Runs.self, bytes)
      #expect(outcome == Self.outcome(Singles.self, bytes))
      if case .failure = outcome { refused += 1 }
    }
    #expect(refused > 1_000 && refused < 19_000)
  }
}

@Suite("Several bytes at once")
struct EdgeTests {
  @Test("a string of every length up to 40 is read and written, and one foreign byte at any place of it is refused")
  func strings() throws {
    for length in 1...40 {
      let text = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
      let message = try Inner(decoding: [0x0A, UInt8(length)] + text)
      #expect(Array(message.name.utf8) == text)
      #expect(message.encodedBytes() == [0x0A, UInt8(length)] + text)
      for place in 0..<length {
        var broken = text
        broken[place] = 0xFF
        #expect(throws: WireError.invalidUTF8) { try Inner(decoding: [0x0A, UInt8(length)] + broken) }
      }
    }
  }

  @Test(
    "text that is not ASCII is kept as it came, with the replacement character too",
    arguments: [
      "é", "käse €", "\u{FFFD}", "a\u{FFFD}b and more than fifteen bytes", "日本語のファイル", "\u{0}", "e\u{301}",
    ])
  func unicode(_ text: String) throws {
    let message = try Inner(decoding: [0x0A, UInt8(text.utf8.count)] + Array(text.utf8))
    #expect(Array(message.name.utf8) == Array(text.utf8))
  }

  @Test("a varint of every length is read at the end of the bytes and before others")
  func varints() throws {
    for bits in 0..<64 {
      let value = Int64(bitPattern: UInt64(1) << UInt64(bits) | 1)
      let written = Inner.with { $0.size = value }.encodedBytes()
      #expect(try Inner(decoding: written).size == value)
      let followed = try Inner(decoding: written + [0x1A, 0x09] + Array("ninebytes".utf8))
      #expect(followed.size == value && followed.tags == ["ninebytes"])
      // Cut off inside a message, where bytes of the message around it would complete it.
      let cut = [0x0A, UInt8(written.count - 1)] + written + [UInt8](repeating: 0, count: 9)
      #expect(throws: WireError.self) { try Runs(decoding: cut) }
    }
  }

  @Test("a message of any length is written whole", arguments: [1_000, 1_010, 1_020, 1_024, 1_030, 5_000, 300_000])
  func lengths(_ size: Int) throws {
    let message = Inner.with { $0.name = String(repeating: "x", count: size); $0.tags = ["end"] }
    #expect(try Inner(decoding: message.encodedBytes()) == message)
    #expect(Array(message.encodedBuffer().readableBytesView) == message.encodedBytes())
  }
}
