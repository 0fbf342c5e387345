// The targets that read messages: the reader by itself against a reference, and every codec of FerryAPI.
import FerryAPI
import ProtoWire

/// What one message type made of its inputs.
struct CodecTally {
  var inputs = 0
  var accepted = 0
  /// The most bytes held for each byte of input, of inputs large enough to say.
  var memoryMultiple = 0.0
}

enum Codec {
  /// Inputs smaller than this hold mostly what every message holds.
  static let measuredFrom = 512
  /// Held whatever the input: the empty message and its first allocations.
  static let fixedMemory = 16 << 10

  /// Decodes, and checks that what was taken comes back the same. Every later time it must be equal in bytes too.
  static func check<M: Message>(
    _ type: M.Type, _ bytes: UnsafeRawBufferPointer, memoryLimit: Int?, _ tally: inout CodecTally
  ) throws(Finding) {
    tally.inputs += 1
    let before = memoryLimit == nil ? 0 : Process.heldBytes()
    var reader = WireReader(bytes)
    var first = M()
    do throws(WireError) { try first.merge(from: &reader) } catch { return }
    if let memoryLimit {
      let held = Process.heldBytes() - before
      if bytes.count >= measuredFrom {
        tally.memoryMultiple = max(tally.memoryMultiple, Double(held) / Double(bytes.count))
      }
      guard held <= fixedMemory + memoryLimit * bytes.count else {
        throw Finding("\(held) bytes held for an input of \(bytes.count)")
      }
    }
    tally.accepted += 1
    guard reader.isAtEnd else { throw Finding("the reader stopped before its end") }
    let once = first.encodedBytes()
    // An unsigned 32-bit varint of 5 bytes may come back as a negative one of 10; nothing else grows.
    guard once.count <= 2 * bytes.count + 16 else {
      throw Finding("\(bytes.count) bytes were written as \(once.count)")
    }
    let second: M
    do throws(WireError) { second = try M(decoding: once) } catch {
      throw Finding("what was read and written is refused: \(error)")
    }
    guard second.encodedBytes() == once else { throw Finding("written twice, the bytes differ") }
    // NaN is not equal to itself, but an array that holds one is, to the same array: then the bytes alone decide.
    guard second == first || holdsFloats(M.self) else { throw Finding("what was read, written and read is not equal") }
  }

  private static func holdsFloats(_ type: any Message.Type) -> Bool {
    var seen: Set<String> = []
    func visit(_ type: any Message.Type) -> Bool {
      guard seen.insert(type.descriptor.fullName).inserted else { return false }
      return type.descriptor.fields.contains { field in
        switch field.kind {
        case .float, .double: true
        case .message(let nested): visit(nested)
        default: false
        }
      }
    }
    return visit(type)
  }

  static func stride<M: Message>(_ type: M.Type) -> Int { MemoryLayout<M>.stride }

  /// How many bytes a byte of input may make a message hold. Two bytes are enough for an element of a repeated field,
  /// and arrays grow by doubling: so the largest struct that the message can hold, once.
  static func memoryLimit(_ type: any Message.Type) -> Int {
    var seen: Set<String> = []
    var largest = 16
    func visit(_ type: any Message.Type) {
      guard seen.insert(type.descriptor.fullName).inserted else { return }
      for field in type.descriptor.fields {
        guard case .message(let nested) = field.kind else { continue }
        if field.cardinality == .repeated { largest = max(largest, stride(nested)) }
        visit(nested)
      }
    }
    visit(type)
    return largest + 64
  }
}

/// Valid messages of a type to spoil; one in four is made anew when it has been used.
struct MessagePool {
  static let size = 48
  private var messages: [[UInt8]] = []

  mutating func make(_ type: any Message.Type, _ generator: inout Generator, into input: inout [UInt8]) {
    let bytes = MessageBytes(wrongOneIn: generator.chance(3) ? 12 : 0)
    if messages.count < Self.size || generator.chance(16) {
      var message: [UInt8] = []
      bytes.make(type, &generator, into: &message)
      if messages.count < Self.size { messages.append(message) } else { messages[generator.below(Self.size)] = message }
    }
    var chosen = generator.pick(messages)
    // Some are left whole, so that all checks of a message that is taken are made often.
    if !generator.chance(12) { MessageMutator.mutate(&chosen, with: generator.pick(messages), &generator) }
    input.append(contentsOf: chosen)
  }
}

final class MessageReaderTarget: FuzzTarget {
  let name = "message-reader"
  var measuresMemory = false
  private var pool = MessagePool()
  private var tally = CodecTally()
  private let memoryLimit = Codec.memoryLimit(EveryKind.self)

  func makeInput(_ generator: inout Generator, into input: inout [UInt8]) {
    pool.make(EveryKind.self, &generator, into: &input)
  }

  func check(_ input: UnsafeRawBufferPointer) throws(Finding) {
    try walk(input)
    try readAnyhow(input)
    try Codec.check(EveryKind.self, input, memoryLimit: measuresMemory ? memoryLimit : nil, &tally)
  }

  /// Fields, their numbers and the error must be those of the reference.
  private func walk(_ input: UnsafeRawBufferPointer) throws(Finding) {
    var reference = ReferenceReader(input)
    var expected: UInt64 = 0
    var expectedError: WireError?
    do throws(WireError) {
      try reference.walk { number, _ in expected = expected &* 31 &+ number }
    } catch { expectedError = error }
    var reader = WireReader(input)
    var found: UInt64 = 0
    var foundError: WireError?
    do throws(WireError) {
      while let field = try reader.nextField() {
        try reader.skip()
        found = found &* 31 &+ UInt64(field)
      }
    } catch { foundError = error }
    guard foundError == expectedError else {
      throw Finding("the reader says \(foundError.map { "\($0)" } ?? "valid"), the reference "
        + (expectedError.map { "\($0)" } ?? "valid"))
    }
    guard found == expected else { throw Finding("the reader finds other fields than the reference") }
  }

  /// Reads each field by some function, fitting or not, as a codec with a mistake in it would.
  private func readAnyhow(_ input: UnsafeRawBufferPointer) throws(Finding) {
    var reader = WireReader(input)
    var choice = input.count
    var rounds = 0
    while true {
      rounds += 1
      guard rounds <= input.count + 1 else { throw Finding("the reader does not advance") }
      do throws(WireError) {
        guard let field = try reader.nextField() else { return }
        choice = choice &* 31 &+ field
        do throws(WireError) {
          try read(&reader, by: abs(choice % 16), in: input)
        } catch WireError.wireTypeMismatch {
          try reader.skip()
        }
      } catch { return }
    }
  }

  private func read(
    _ reader: inout WireReader, by choice: Int, in input: UnsafeRawBufferPointer
  ) throws(WireError) {
    switch choice {
    case 0: _ = try reader.int32()
    case 1: _ = try reader.uint64()
    case 2: _ = try reader.sint32()
    case 3: _ = try reader.sint64()
    case 4: _ = try reader.fixed32()
    case 5: _ = try reader.double()
    case 6: _ = try reader.bool()
    case 7: _ = try reader.string()
    case 8: _ = try reader.bytes()
    case 9: _ = try reader.enumeration(Shade.self)
    case 10: _ = try reader.message(Leaf.self)
    case 11:
      var values: [Int64] = []
      try reader.repeated(&values) { (item: inout WireReader) throws(WireError) in try item.sint64() }
    case 12:
      var values: [UInt32] = []
      try reader.repeated(
        &values, { (item: inout WireReader) throws(WireError) in try item.fixed32() }, packedAs: .fixed32)
    case 13: _ = try reader.varint()
    default: try reader.skip()
    }
  }

  func budget(for input: UnsafeRawBufferPointer) -> Budget {
    Budget(fixedMicroseconds: 3000, nanosecondsPerByte: 300 + 3 * memoryLimit)
  }

  func describe(_ input: UnsafeRawBufferPointer) -> String { "\(input.count) bytes" }

  func summary() -> [String] {
    ["accepted \(tally.accepted) of \(tally.inputs); at most \(tally.memoryMultiple.tenths) bytes held a byte of input"]
  }
}

extension Double {
  /// With one digit after the point.
  var tenths: String { "\((self * 10).rounded() / 10)" }
}
