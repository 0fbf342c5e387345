// What a peer may say on one connection: first as it should be, frame by frame, then spoiled, then cut into reads.
//
// An input of the HTTP/2 targets is two bytes that say how our side behaves (see HTTP2Behaviour), then for each read
// two bytes of length, big-endian, and its bytes. The last one may be short. So any bytes are an input.

struct HTTP2Conversation {
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  /// Frames that one input repeats at most: more than any limit of the configuration under test.
  static let maxFlood = 3000
  static let maxFloodBytes = 256 << 10
  static let maxRead = 0xFFFF

  let isServerUnderTest: Bool

  func write(_ generator: inout Generator, into input: inout [UInt8]) {
    HTTP2Behaviour.write(&generator, into: &input)
    var frames = valid(&generator)
    let spoiled = generator.below(4)
    for _ in 0..<spoiled { Self.spoil(&frames, &generator) }
    var bytes: [UInt8] = isServerUnderTest ? Self.preface : []
    for frame in frames { frame.write(to: &bytes) }
    if spoiled > 0, generator.chance(3) { Self.spoilBytes(&bytes, &generator) }
    Self.cut(bytes, &generator, into: &input)
  }

  // MARK: As it should be

  private func valid(_ generator: inout Generator) -> [RawFrame] {
    var frames = [RawFrame(.settings, settings(&generator))]
    if generator.chance(2) { frames.append(RawFrame(.settings, flags: RawFrame.ack)) }
    var next: UInt32 = 1
    for _ in 0...generator.below(5) {
      switch generator.below(8) {
      case 0: frames.append(RawFrame(.ping, (0..<8).map { _ in generator.byte() }))
      case 1:
        let stream = generator.chance(2) ? 0 : next
        frames.append(RawFrame(.windowUpdate, stream: stream, [0, 0, 0x10, generator.byte()]))
      case 2: frames.append(RawFrame(.settings, settings(&generator)))
      default:
        message(on: next, &generator, into: &frames)
        next += 2
      }
    }
    if generator.chance(12) { frames.append(RawFrame(.goAway, [0, 0, 0, UInt8(next), 0, 0, 0, 0])) }
    return frames
  }

  private func settings(_ generator: inout Generator) -> [UInt8] {
    var payload: [UInt8] = []
    for _ in 0..<generator.below(4) {
      switch generator.below(6) {
      case 0: payload.putSetting(1, UInt32(generator.below(8192)))
      case 1: payload.putSetting(3, UInt32(generator.below(200)))
      case 2: payload.putSetting(4, UInt32(generator.pick([0, 1, 1000, 65_535, 1 << 20, Int(Int32.max)])))
      case 3: payload.putSetting(5, UInt32(16_384 + generator.below(1 << 20)))
      case 4: payload.putSetting(6, UInt32(generator.below(1 << 16)))
      default: payload.putSetting(UInt16(10 + generator.below(100)), 1)
      }
    }
    return payload
  }

  /// A request, or a response with trailers: one block of headers and the rest of its stream.
  private func message(on stream: UInt32, _ generator: inout Generator, into frames: inout [RawFrame]) {
    let block = isServerUnderTest ? HeaderBlocks.request(&generator) : HeaderBlocks.response(&generator)
    let bodyless = generator.chance(4)
    headers(block, on: stream, endStream: bodyless, &generator, into: &frames)
    if bodyless { return }
    for _ in 0..<generator.below(4) {
      frames.append(RawFrame(.data, stream: stream, body(&generator)))
      if generator.chance(10) { frames.append(RawFrame(.resetStream, stream: stream, [0, 0, 0, 8])) }
    }
    if isServerUnderTest {
      guard !generator.chance(4) else { return }
      frames.append(RawFrame(.data, flags: RawFrame.endStream, stream: stream, body(&generator)))
    } else if !generator.chance(4) {
      headers(HeaderBlocks.trailers(&generator), on: stream, endStream: true, &generator, into: &frames)
    }
  }

  /// gRPC's framing around a few bytes.
  private func body(_ generator: inout Generator) -> [UInt8] {
    let count = generator.chance(20) ? generator.below(16_000) : generator.below(40)
    return [0, 0, 0, UInt8(count >> 8), UInt8(count & 0xFF)] + [UInt8](repeating: 0x0A, count: count)
  }

  private func headers(
    _ block: [UInt8], on stream: UInt32, endStream: Bool, _ generator: inout Generator, into frames: inout [RawFrame]
  ) {
    let end: UInt8 = endStream ? RawFrame.endStream : 0
    if block.count < 16_000, !generator.chance(5) {
      if generator.chance(8) {
        frames.append(
          RawFrame(.headers, flags: RawFrame.endHeaders | end | RawFrame.padded | RawFrame.priorityFlag, stream: stream,
            [2, 0, 0, 0, 0, 15] + block + [0, 0]))
      } else {
        frames.append(RawFrame(.headers, flags: RawFrame.endHeaders | end, stream: stream, block))
      }
      return
    }
    let pieces = max(generator.below(5) + 1, block.count / 16_000 + 1)
    let size = max(1, block.count / pieces)
    var start = 0
    while start < block.count {
      let piece = Array(block[start..<min(block.count, start + size)])
      var frame = RawFrame(.continuation, stream: stream, piece)
      if start == 0 { frame = RawFrame(.headers, flags: end, stream: stream, piece) }
      start += size
      if start >= block.count { frame.flags |= RawFrame.endHeaders }
      frames.append(frame)
    }
  }

  // MARK: Spoiled

  private static func spoil(_ frames: inout [RawFrame], _ generator: inout Generator) {
    guard !frames.isEmpty else { return }
    let place = generator.below(frames.count)
    switch generator.below(16) {
    case 0: frames[place].type = generator.chance(4) ? generator.byte() : UInt8(generator.below(11))
    case 1: frames[place].flags ^= 1 << UInt8(generator.below(8))
    case 2:
      let other = generator.chance(3) ? generator.number() : UInt64(generator.below(12))
      frames[place].stream = UInt32(truncatingIfNeeded: other)
    case 3: frames[place].length = max(0, frames[place].payload.count + generator.below(9) - 4)
    case 4: frames[place].length = Int(truncatingIfNeeded: generator.number() & 0xFF_FFFF)
    case 5: frames.remove(at: place)
    case 6: frames.swapAt(place, generator.below(frames.count))
    case 7: frames.insert(frames[place], at: generator.below(frames.count + 1))
    case 8:
      guard !frames[place].payload.isEmpty else { return }
      let byte = generator.below(frames[place].payload.count)
      frames[place].payload[byte] = generator.chance(2) ? generator.byte() : frames[place].payload[byte] ^ 0x80
    case 9: frames[place].payload.removeLast(generator.below(frames[place].payload.count + 1))
    case 10: frames[place].payload.append(contentsOf: (0..<generator.below(20)).map { _ in generator.byte() })
    case 11: frames.insert(anyFrame(&generator), at: place)
    case 12 where generator.chance(60): flood(&frames, at: place, &generator)
    case 13: frames[place].payload.insert(generator.byte(), at: 0)
    case 14: frames.removeSubrange(place...)
    default: frames.insert(pushOrUpdate(&generator), at: place)
    }
  }

  private static func anyFrame(_ generator: inout Generator) -> RawFrame {
    var frame = RawFrame(
      generator.pick(RawFrame.Kind.allCases), flags: generator.byte(), stream: UInt32(generator.below(10)),
      (0..<generator.below(24)).map { _ in generator.byte() })
    if generator.chance(2) { frame.flags &= RawFrame.endStream | RawFrame.endHeaders }
    return frame
  }

  private static func pushOrUpdate(_ generator: inout Generator) -> RawFrame {
    let stream = UInt32(generator.below(8))
    switch generator.below(3) {
    case 0:
      let promised: [UInt8] = [0, 0, 0, UInt8(generator.below(12))]
      return RawFrame(
        .pushPromise, flags: RawFrame.endHeaders, stream: stream, promised + HeaderBlocks.request(&generator))
    case 1:
      var increment: [UInt8] = []
      increment.putBigEndian(UInt32(truncatingIfNeeded: generator.number()))
      return RawFrame(.windowUpdate, stream: stream, increment)
    default:
      var settings: [UInt8] = []
      settings.putSetting(UInt16(generator.below(8)), UInt32(truncatingIfNeeded: generator.number()))
      return RawFrame(.settings, settings)
    }
  }

  /// Many small frames: what is answered, what opens and closes streams, what carries nothing.
  private static func flood(_ frames: inout [RawFrame], at place: Int, _ generator: inout Generator) {
    let count = min(1 << generator.below(12), maxFlood, maxFloodBytes / (frames[place].payload.count + 9))
    var many: [RawFrame] = []
    let stream: UInt32 = 1 + 2 * UInt32(generator.below(3))
    let kind = generator.below(8)
    for index in 0..<count {
      let fresh = 101 + 2 * UInt32(index)
      switch kind {
      case 0: many.append(RawFrame(.ping, [UInt8](repeating: 1, count: 8)))
      case 1: many.append(RawFrame(.settings))
      case 2: many.append(RawFrame(.data, stream: stream))
      case 3: many.append(RawFrame(.continuation, stream: stream))
      case 4:  // "rapid reset"
        many.append(RawFrame(.headers, flags: RawFrame.endHeaders, stream: fresh, HeaderBlocks.request(&generator)))
        many.append(RawFrame(.resetStream, stream: fresh, [0, 0, 0, 8]))
      case 5:
        many.append(RawFrame(.headers, flags: RawFrame.endHeaders, stream: fresh, HeaderBlocks.request(&generator)))
      case 6: many.append(RawFrame(.windowUpdate, stream: index % 2 == 0 ? 0 : stream, [0, 0, 0, 1]))
      default: many.append(frames[place])
      }
    }
    frames.insert(contentsOf: many, at: place)
  }

  private static func spoilBytes(_ bytes: inout [UInt8], _ generator: inout Generator) {
    guard !bytes.isEmpty else { return }
    let place = generator.below(bytes.count)
    switch generator.below(5) {
    case 0: bytes[place] ^= 1 << UInt8(generator.below(8))
    case 1: bytes[place] = generator.byte()
    case 2: bytes.remove(at: place)
    case 3: bytes.insert(contentsOf: (0...generator.below(30)).map { _ in generator.byte() }, at: place)
    default: bytes.removeSubrange(place...)
    }
  }

  // MARK: Cut into reads

  private static func cut(_ bytes: [UInt8], _ generator: inout Generator, into input: inout [UInt8]) {
    let largest = generator.chance(2) ? maxRead : [1, 9, 30, 200, 2000][generator.below(5)]
    // Reads of a byte or two make large inputs slow and show no more than in small ones.
    let most = bytes.count > 600 ? min(maxRead, max(largest, bytes.count / 20)) : largest
    var start = 0
    while start < bytes.count {
      let count = min(bytes.count - start, most == maxRead ? most : 1 + generator.below(most))
      input.append(UInt8(count >> 8))
      input.append(UInt8(count & 0xFF))
      input.append(contentsOf: bytes[start..<start + count])
      start += count
    }
  }
}

/// The reads of an input.
struct HTTP2Reads: Sequence, IteratorProtocol {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int

  init(_ input: UnsafeRawBufferPointer) {
    bytes = input
    position = Swift.min(HTTP2Behaviour.size, input.count)
  }

  mutating func next() -> UnsafeRawBufferPointer? {
    guard bytes.count - position >= 2 else { return nil }
    let length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
    let start = position + 2
    let end = Swift.min(bytes.count, start + length)
    position = end
    return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
  }
}
