// gRPC's framing: each message is one flag byte, four bytes of length, and the message ("Length-Prefixed-Message", grpc/grpc
// doc/PROTOCOL-HTTP2.md).
import NIOCore
import ProtoWire

enum MessageFraming {
  static let prefixLength = 5

  /// A message with its prefix, in one block.
  static func framed<M: Message>(_ message: M) -> WireWriter {
    var writer = WireWriter(prefix: prefixLength)
    writer.fields(of: message)
    writer.overwrite(at: 0, with: (0, UInt32(writer.byteCount - prefixLength)))
    return writer
  }

  static func framed(_ payload: ByteBuffer) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(prefixLength + payload.readableBytes)
    buffer.writeInteger(UInt8(0))
    buffer.writeInteger(UInt32(payload.readableBytes))
    buffer.writeImmutableBuffer(payload)
    return buffer
  }
}

/// Cuts arriving bytes into messages. A message that arrives in one piece is handed on without a copy.
struct MessageDeframer {
  /// Bytes of a message that is not yet whole.
  private var partial = ByteBuffer()
  let maxMessageSize: Int

  init(maxMessageSize: Int) { self.maxMessageSize = maxMessageSize }

  var isEmpty: Bool { partial.readableBytes == 0 }

  /// Calls `body` with each whole message in `data` and what came before.
  mutating func feed(
    _ data: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(RPCError) -> Void
  ) throws(RPCError) {
    guard partial.readableBytes == 0 else {
      partial.writeBytes(data)
      var consumed = 0
      // The typed error cannot cross the closure, so it leaves by a Result.
      let result: Result<Int, RPCError> = partial.withUnsafeReadableBytes { bytes in
        do throws(RPCError) {
          return .success(try Self.cut(bytes, limit: maxMessageSize, body))
        } catch { return .failure(error) }
      }
      consumed = try result.get()
      partial.moveReaderIndex(forwardBy: consumed)
      if partial.readableBytes == 0 { partial.clear() } else { partial.discardReadBytes() }
      return
    }
    let consumed = try Self.cut(data, limit: maxMessageSize, body)
    if consumed < data.count { partial.writeBytes(UnsafeRawBufferPointer(rebasing: data[consumed...])) }
  }

  private static func cut(
    _ bytes: UnsafeRawBufferPointer, limit: Int, _ body: (UnsafeRawBufferPointer) throws(RPCError) -> Void
  ) throws(RPCError) -> Int {
    var offset = 0
    while bytes.count - offset >= MessageFraming.prefixLength {
      let flag = bytes[offset]
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 1, as: UInt32.self)))
      guard flag == 0 else {
        throw RPCError(
          flag == 1 ? .internal : .invalidArgument,
          flag == 1 ? "a message is compressed but no grpc-encoding was agreed" : "a message has an unknown flag byte")
      }
      guard length <= limit else {
        throw RPCError(.resourceExhausted, "a message of \(length) bytes is larger than the limit of \(limit)")
      }
      let start = offset + MessageFraming.prefixLength
      guard bytes.count - start >= length else { break }
      try body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
      offset = start + length
    }
    return offset
  }
}
