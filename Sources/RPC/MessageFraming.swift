// gRPC's framing: each message is one flag byte, four bytes of length, and the message ("Length-Prefixed-Message", grpc/grpc
// doc/PROTOCOL-HTTP2.md).
import NIOCore
import ProtoWire

enum MessageFraming {
  static let prefixLength = 5
  /// Writers that grew beyond this are not kept for the next message.
  static let keptCapacity = 64 << 10

  /// A message of fewer bytes is copied sooner than memory is found for the next.
  static let leastGiven = 4 << 10

  /// Writes a message with its prefix into `writer`, over what it held.
  static func frame(into writer: inout WireWriter, _ encode: (inout WireWriter) -> Void) {
    writer.reset(prefix: prefixLength)
    encode(&writer)
    writer.overwrite(at: 0, with: (0, UInt32(writer.byteCount - prefixLength)))
  }

  /// A message with its prefix, in a buffer of its own.
  static func framed<M: Message>(_ message: M, _ compression: CompressionAlgorithm = .identity) throws(RPCError) -> ByteBuffer {
    var writer = WireWriter(prefix: prefixLength)
    frame(into: &writer) { $0.fields(of: message) }
    guard compression == .gzip else { return writer.withUnsafeBytes { ByteBuffer(bytes: $0) } }
    return try compressed(writer)
  }

  /// What `frame` wrote, compressed.
  static func compressed(_ writer: borrowing WireWriter) throws(RPCError) -> ByteBuffer {
    // The typed error cannot cross the closure, so it leaves by a Result.
    let result: Result<ByteBuffer, RPCError> = writer.withUnsafeBytes { bytes in
      do throws(RPCError) {
        return .success(try Gzip.compress(UnsafeRawBufferPointer(rebasing: bytes[prefixLength...])))
      } catch { return .failure(error) }
    }
    return framed(try result.get(), isCompressed: true)
  }

  static func framed(_ payload: ByteBuffer, isCompressed: Bool = false) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(prefixLength + payload.readableBytes)
    buffer.writeInteger(UInt8(isCompressed ? 1 : 0))
    buffer.writeInteger(UInt32(payload.readableBytes))
    buffer.writeImmutableBuffer(payload)
    return buffer
  }
}

extension WireWriter {
  /// Its memory may go with the message: it is large, and little of it empty.
  var isWorthGiving: Bool { byteCount >= MessageFraming.leastGiven && byteCount >= capacityInBytes / 2 }
}

/// Cuts arriving bytes into messages. A message that arrives in one piece is handed on without a copy.
struct MessageDeframer {
  /// Bytes of a message that is not yet whole.
  private var partial: ByteBuffer?
  /// Bytes of one message, as sent and as decompressed.
  let maxMessageSize: Int
  /// What the peer says its compressed messages are compressed with.
  var encoding: CompressionAlgorithm

  init(maxMessageSize: Int, encoding: CompressionAlgorithm = .identity) {
    self.maxMessageSize = maxMessageSize
    self.encoding = encoding
  }

  /// Bytes that wait for the rest of their message, or for `feed` after `hold`.
  var heldBytes: Int { partial?.readableBytes ?? 0 }
  var isEmpty: Bool { partial == nil }

  /// There may be whole messages among the held bytes, because nobody could take them.
  private(set) var isStopped = false

  /// Keeps bytes uncut while nobody can take messages: many small ones cost far more memory cut than uncut.
  mutating func hold(_ data: UnsafeRawBufferPointer) {
    isStopped = true
    guard data.count > 0 else { return }
    if partial == nil { partial = ByteBuffer() }
    partial?.writeBytes(data)
  }

  /// Calls `body` with each whole message in `data` and what came before, decompressed; valid during its call only. It
  /// returns whether it takes more; else the rest is held.
  mutating func feed(
    _ data: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer, _ wasCompressed: Bool) throws(RPCError) -> Bool
  ) throws(RPCError) {
    isStopped = false
    guard partial != nil else {
      let consumed = try cut(data, body)
      if consumed < data.count { keep(UnsafeRawBufferPointer(rebasing: data[consumed...])) }
      return
    }
    if data.count > 0 { partial?.writeBytes(data) }
    guard var whole = partial else { return }
    partial = nil
    // The typed error cannot cross the closure, so it leaves by a Result.
    let result: Result<Int, RPCError> = whole.withUnsafeReadableBytes { bytes in
      do throws(RPCError) { return .success(try cut(bytes, body)) } catch { return .failure(error) }
    }
    whole.moveReaderIndex(forwardBy: try result.get())
    if whole.readableBytes > 0 {
      // Moved down only when less is left than was used, so that each byte is moved once on average.
      if whole.readableBytes <= whole.readerIndex { whole.discardReadBytes() }
      partial = whole
    }
  }

  /// Room for the whole message at once if it is of moderate size, so that its pieces are not copied again and again.
  private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
    var buffer = ByteBuffer()
    if bytes.count >= MessageFraming.prefixLength {
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
      buffer.reserveCapacity(min(length + MessageFraming.prefixLength, Self.reservedAtOnce))
    }
    buffer.writeBytes(bytes)
    partial = buffer
  }

  /// More than this is not set aside on the word of a length prefix alone.
  private static let reservedAtOnce = 64 << 10

  private mutating func cut(
    _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Bool) throws(RPCError) -> Bool
  ) throws(RPCError) -> Int {
    var offset = 0
    while bytes.count - offset >= MessageFraming.prefixLength {
      let flag = bytes[offset]
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 1, as: UInt32.self)))
      guard flag == 0 || (flag == 1 && encoding != .identity) else {
        throw RPCError(
          .internal,
          flag == 1 ? "a message is compressed but no grpc-encoding was agreed" : "a message has an unknown flag byte")
      }
      guard length <= maxMessageSize else {
        throw RPCError(
          .resourceExhausted, "a message of \(length) bytes is larger than the limit of \(maxMessageSize)")
      }
      let start = offset + MessageFraming.prefixLength
      guard bytes.count - start >= length else { break }
      let message = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
      let takesMore = flag == 0 ? try body(message, false) : try decompress(message, body)
      offset = start + length
      if !takesMore {
        isStopped = offset < bytes.count
        break
      }
    }
    return offset
  }

  private func decompress(
    _ message: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Bool) throws(RPCError) -> Bool
  ) throws(RPCError) -> Bool {
    let whole = try Gzip.decompress(message, limit: maxMessageSize)
    let result: Result<Bool, RPCError> = whole.withUnsafeReadableBytes { bytes in
      do throws(RPCError) { return .success(try body(bytes, true)) } catch { return .failure(error) }
    }
    return try result.get()
  }
}
