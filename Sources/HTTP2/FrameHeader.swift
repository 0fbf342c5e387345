// The header of a frame (RFC 9113 section 4.1), as far as it is read and written here and not by nghttp2.

enum FrameHeader {
  /// Its bytes.
  static let size = 9

  /// Bytes of the payload of the frame that begins there.
  static func payloadLength(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Int {
    Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
  }

  /// Makes the last frame in `queue`, which begins at `start`, as long as it has become.
  static func setPayloadLength(of queue: inout ByteQueue, at start: Int) {
    let length = queue.count - start - size
    queue.overwrite(at: start, with: UInt8(truncatingIfNeeded: length >> 16))
    queue.overwrite(at: start + 1, with: UInt8(truncatingIfNeeded: length >> 8))
    queue.overwrite(at: start + 2, with: UInt8(truncatingIfNeeded: length))
  }
}
