// The JSON reading of FerryAPI, which the gateway opens to browsers. An input is two bytes that choose the message
// type, and the text.
import FerryAPI
import ProtoWire

final class FerryJSONTarget: FuzzTarget {
  let name = "ferry-json"
  var measuresMemory = false
  private var turn = 0
  private var texts: [[[UInt8]]] = FerryMessages.all.map { _ in [] }
  private var inputs = 0
  private var accepted = 0

  static let poolSize = 24
  static let maxSize = 64 << 10

  func makeInput(_ generator: inout Generator, into input: inout [UInt8]) {
    let index = turn % FerryMessages.all.count
    turn += 1
    input.append(UInt8(index >> 8))
    input.append(UInt8(index & 0xFF))
    if texts[index].count < Self.poolSize || generator.chance(32) {
      let text = Self.text(FerryMessages.all[index], &generator)
      if texts[index].count < Self.poolSize {
        texts[index].append(text)
      } else {
        texts[index][generator.below(Self.poolSize)] = text
      }
    }
    var text = generator.pick(texts[index])
    if !generator.chance(12) {
      for _ in 0...generator.below(4) { Self.mutate(&text, generator.pick(texts[index]), &generator) }
    }
    input.append(contentsOf: text.prefix(Self.maxSize))
  }

  private static func text<M: Message>(_ type: M.Type, _ generator: inout Generator) -> [UInt8] {
    var wire: [UInt8] = []
    MessageBytes().make(type, &generator, into: &wire)
    // Bytes of a valid message: the other targets find what refuses them.
    return (try? M(decoding: wire))?.jsonBytes(includeDefaults: generator.chance(2)) ?? []
  }

  private static let tokens: [[UInt8]] = [
    "null", "true", "\"\\ud800\"", "\"\\uD83D\\uDE00\"", "\"\\u0000\"", "\"\\",
    "-0", "1e999", "-1e-400", "0.1e1", "1e9",
    "99999999999999999999999", "-9223372036854775808", "9223372036854775808", "2147483648", "\"NaN\"", "Infinity", "{}",
    "[]", "[null]", "{\"\":0}", ",", ":", "\u{0}", "\u{FEFF}", "//", "\"1970-01-01T00:00:60Z\"",
    "\"9999-12-31T23:59:59.9999999999Z\"", "\"0000-00-00T00:00:00Z\"", "\"2020-02-30T00:00:00+24:00\"", "AA==", "A",
    "\"====\"", "\"-_+/\"", "01", "+1", ".5", "5.", "0x10",
  ].map { Array($0.utf8) }

  private static func mutate(_ text: inout [UInt8], _ other: [UInt8], _ generator: inout Generator) {
    let place = generator.below(text.count + 1)
    switch generator.below(10) {
    case 0: if place < text.count { text[place] ^= 1 << UInt8(generator.below(8)) }
    case 1: if place < text.count { text[place] = generator.byte() }
    case 2: text.removeSubrange(place..<min(text.count, place + 1 + generator.below(12)))
    case 3: text.removeSubrange(place...)
    case 4:
      let from = generator.below(other.count + 1)
      text.insert(contentsOf: other[from..<min(other.count, from + generator.below(60))], at: place)
    case 5: nest(&text, at: place, &generator)
    case 6:  // a value replaced: from a colon to the next comma or bracket
      guard let colon = text[..<place].lastIndex(of: UInt8(ascii: ":")) else { return }
      let rest = text[(colon + 1)...]
      let end = rest.firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? text.count
      text.replaceSubrange((colon + 1)..<end, with: generator.pick(tokens))
    case 7 where generator.chance(200):  // very many members of one kind
      guard let comma = text[..<place].lastIndex(of: UInt8(ascii: ",")) else { return }
      let end = text[(comma + 1)...].firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? text.count
      let member = Array(text[comma..<end])
      let times = min(maxSize, 1000 << generator.below(6)) / max(1, member.count)
      text.insert(contentsOf: Array(repeatElement(member, count: times).joined()), at: end)
    default: text.insert(contentsOf: generator.pick(tokens), at: place)
    }
  }

  private static func nest(_ text: inout [UInt8], at place: Int, _ generator: inout Generator) {
    let depth = generator.chance(50) ? 30_000 : generator.below(220)
    let isArray = generator.chance(2)
    let opening: [UInt8] = isArray ? [UInt8(ascii: "[")] : Array("{\"a\":".utf8)
    let opened = Array(repeatElement(opening, count: depth).joined())
    let closing = [UInt8](repeating: isArray ? UInt8(ascii: "]") : UInt8(ascii: "}"), count: depth)
    text.insert(contentsOf: opened + (generator.chance(3) ? [] : closing), at: place)
  }

  func check(_ input: UnsafeRawBufferPointer) throws(Finding) {
    guard let (index, text) = FerryMessages.split(input) else { return }
    try check(FerryMessages.all[index], Array(text))
  }

  private func check<M: Message>(_ type: M.Type, _ text: [UInt8]) throws(Finding) {
    inputs += 1
    let ignored: UnknownJSONNames = text.count % 2 == 0 ? .ignored : .refused
    let first: M
    do throws(JSONError) { first = try M(json: text, unknownNames: ignored) } catch {
      // Such a place is shown to people, so it must lie in the text.
      guard error.offset >= 0, error.offset <= text.count else { throw Finding("an error at byte \(error.offset)") }
      return
    }
    accepted += 1
    let once = first.jsonBytes()
    let second: M
    do throws(JSONError) { second = try M(json: once) } catch {
      throw Finding("what was read and written is refused: \(error)")
    }
    guard second == first else { throw Finding("what was read, written and read is not equal") }
    guard second.jsonBytes() == once else { throw Finding("written twice, the bytes differ") }
    let wired: M
    do throws(WireError) { wired = try M(decoding: first.encodedBytes()) } catch {
      throw Finding("in protobuf it is refused: \(error)")
    }
    guard wired == first else { throw Finding("in protobuf it is another message") }
  }

  func budget(for input: UnsafeRawBufferPointer) -> Budget { Budget(fixedMicroseconds: 3000, nanosecondsPerByte: 2000) }

  func describe(_ input: UnsafeRawBufferPointer) -> String {
    guard let (index, text) = FerryMessages.split(input) else { return "no message" }
    return "\(FerryMessages.all[index].descriptor.fullName), \(text.count) bytes of JSON"
  }

  func summary() -> [String] { ["\(texts.count) message types; accepted \(accepted) of \(inputs)"] }
}
