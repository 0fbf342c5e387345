// Message compression ("Compression", grpc/grpc doc/compression.md): what the two ends may agree on, and zlib behind it.
import CZlib
import NIOCore

public enum CompressionAlgorithm: String, Sendable {
  case identity
  case gzip

  /// What this library takes, as `grpc-accept-encoding` says it.
  static let accepted = "identity,gzip"

  init?(wireName bytes: UnsafeRawBufferPointer) {
    switch String(decoding: bytes, as: UTF8.self) {
    case "identity": self = .identity
    case "gzip": self = .gzip
    default: return nil
    }
  }

  /// Whether a list such as "identity, deflate, gzip" names the algorithm.
  static func lists(_ list: UnsafeRawBufferPointer, _ algorithm: CompressionAlgorithm) -> Bool {
    list.split(separator: UInt8(ascii: ",")).contains { entry in
      entry.filter { $0 != UInt8(ascii: " ") }.elementsEqual(algorithm.rawValue.utf8)
    }
  }
}

/// The gzip format (RFC 1952) of whole messages.
enum Gzip {
  /// zlib's window of 32 KiB with gzip's header and trailer around it.
  private static let windowBits: Int32 = 15 + 16
  private static let memoryLevel: Int32 = 8
  /// Level 6 costs three times the time of level 1 for a tenth less bytes on typical messages.
  private static let level: Int32 = 1
  private static let growth = 4

  /// - Throws: `internal` if zlib cannot get memory.
  static func compress(_ bytes: UnsafeRawBufferPointer) throws(RPCError) -> ByteBuffer {
    var stream = z_stream()
    guard
      deflateInit2_(
        &stream, level, Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw RPCError(.internal, "a message could not be compressed: no memory for zlib") }
    defer { deflateEnd(&stream) }
    var output = ByteBuffer()
    let bound = Int(deflateBound(&stream, UInt(bytes.count)))
    // zlib reads through this pointer only; its struct has no const for it.
    stream.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    stream.avail_in = UInt32(bytes.count)
    let result = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { room in
      stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
      stream.avail_out = UInt32(room.count)
      _ = deflate(&stream, Z_FINISH)
      return room.count - Int(stream.avail_out)
    }
    guard result > 0 else { throw RPCError(.internal, "a message could not be compressed") }
    return output
  }

  static func compress(_ message: ByteBuffer) throws(RPCError) -> ByteBuffer {
    // The typed error cannot cross the closure, so it leaves by a Result.
    let result: Result<ByteBuffer, RPCError> = message.withUnsafeReadableBytes { bytes in
      do throws(RPCError) { return .success(try compress(bytes)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// - Throws: `resourceExhausted` once it would be larger than `limit` bytes; `internal` if it is not gzip.
  static func decompress(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(RPCError) -> ByteBuffer {
    var stream = z_stream()
    guard inflateInit2_(&stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw RPCError(.internal, "a message could not be decompressed: no memory for zlib")
    }
    defer { inflateEnd(&stream) }
    stream.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    stream.avail_in = UInt32(bytes.count)
    var output = ByteBuffer()
    while true {
      // One byte above the limit tells a message that is too large from one that just fits.
      let room = min(max(4096, bytes.count * growth, output.readableBytes), limit + 1 - output.readableBytes)
      var code = Z_OK
      output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
        stream.next_out = space.bindMemory(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(room)
        code = inflate(&stream, Z_NO_FLUSH)
        return room - Int(stream.avail_out)
      }
      guard output.readableBytes <= limit else {
        throw RPCError(.resourceExhausted, "a compressed message holds more than the limit of \(limit) bytes")
      }
      switch code {
      case Z_STREAM_END: return output
      case Z_OK where stream.avail_out == 0 || stream.avail_in > 0: continue
      default: throw RPCError(.internal, "a message is said to be gzip and cannot be decompressed")
      }
    }
  }
}
