// Frames and lines on standard input and output.
#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Why codec-peer stops.
struct PeerFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

enum StandardStreams {
  static func put(_ bytes: [UInt8], to descriptor: Int32 = 1) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        exit(2)  // the reader is gone, so nobody is left to tell
      }
      sent += count
    }
  }

  static func writeError(_ text: String) { put(Array(text.utf8), to: 2) }

  static func writeFrame(_ bytes: [UInt8]) {
    let length = UInt32(bytes.count)
    put((0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + bytes)
  }

  /// Everything on standard input.
  static func readAll() -> [UInt8] {
    var all: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(0, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return all }
      all.append(contentsOf: block[..<count])
    }
  }

  static func frames(of input: [UInt8]) throws(PeerFailure) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var position = 0
    while position < input.count {
      guard input.count - position >= 4 else { throw PeerFailure("a frame's length is cut off") }
      let length = input[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      position += 4
      guard input.count - position >= length else { throw PeerFailure("a frame is cut off") }
      frames.append(Array(input[position..<position + length]))
      position += length
    }
    return frames
  }
}
