// gzip (RFC 1952) as one member, which every program that knows the format reads to its end. The member's header goes before
// the first chunk; each chunk is deflated (RFC 1951) with a window of its own and, but for the last, ended on a byte's edge by
// an empty stored block; the CRC-32 of all is put together from the chunks' own.
import CZlib
import NIOCore

public struct GzipCompressor: Compressor {
  public static let suffix = ".gz"
  public static let levels = 1...9
  public static let defaultLevel = 6
  /// CRC-32 and size.
  public let endLength = 8

  /// zlib's window of 32 KiB, and nothing around the deflated bytes.
  private static let windowBits: Int32 = -15
  private static let memoryLevel: Int32 = 8
  /// What a flush may add to zlib's own bound.
  private static let flushBytes = 64
  private static let library = "zlib"

  private let level: Int

  /// - Parameter level: within `levels`.
  public init(level: Int = defaultLevel) { self.level = level }

  /// No name, no time: the same file is the same bytes. RFC 1952 section 2.3.1.
  private var header: [UInt8] {
    let effort: UInt8 = level == 9 ? 2 : level == 1 ? 4 : 0
    let unix: UInt8 = 3
    return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, unix]
  }

  public func compress(
    _ chunk: ByteBuffer, isFirst: Bool, isLast: Bool
  ) throws(CompressorError) -> CompressedChunk {
    // The typed error cannot cross the closure, so it leaves by a Result.
    let made: Result<CompressedChunk, CompressorError> = chunk.withUnsafeReadableBytes { raw in
      do throws(CompressorError) {
        let header = isFirst ? header : []
        let bytes = try deflated(raw, header, isLast: isLast)
        try Self.check(bytes, skipping: header.count, against: raw, isLast: isLast)
        return .success(CompressedChunk(bytes: bytes, crc32: CRC32.of(raw)))
      } catch {
        return .failure(error)
      }
    }
    return try made.get()
  }

  private func deflated(
    _ raw: UnsafeRawBufferPointer, _ header: [UInt8], isLast: Bool
  ) throws(CompressorError) -> ByteBuffer {
    var stream = z_stream()
    guard
      deflateInit2_(
        &stream, Int32(level), Z_DEFLATED, Self.windowBits, Self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw .failed(Self.library, "no memory") }
    defer { deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, UInt(raw.count))) + Self.flushBytes
    var output = ByteBufferAllocator().buffer(capacity: header.count + bound + endLength)
    output.writeBytes(header)
    // zlib reads through this pointer only; its struct has no const for it.
    stream.next_in = UnsafeMutablePointer(mutating: raw.assumingMemoryBound(to: UInt8.self).baseAddress)
    stream.avail_in = UInt32(raw.count)
    var code = Z_OK
    output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { room in
      stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
      stream.avail_out = UInt32(room.count)
      code = deflate(&stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
      return room.count - Int(stream.avail_out)
    }
    guard code == (isLast ? Z_STREAM_END : Z_OK), stream.avail_in == 0, stream.avail_out > 0 else {
      throw .failed(Self.library, "deflate answered \(code)")
    }
    return output
  }

  private static func check(
    _ bytes: ByteBuffer, skipping: Int, against raw: UnsafeRawBufferPointer, isLast: Bool
  ) throws(CompressorError) {
    var stream = z_stream()
    guard inflateInit2_(&stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw .failed(library, "no memory")
    }
    defer { inflateEnd(&stream) }
    var comparison = Comparison(raw)
    let isSame = bytes.withUnsafeReadableBytes { all in
      let deflated = UnsafeRawBufferPointer(rebasing: all[skipping...])
      stream.next_in = UnsafeMutablePointer(mutating: deflated.assumingMemoryBound(to: UInt8.self).baseAddress)
      stream.avail_in = UInt32(deflated.count)
      while true {
        stream.next_out = comparison.window.bindMemory(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(Comparison.windowBytes)
        let code = inflate(&stream, Z_NO_FLUSH)
        guard comparison.next(Comparison.windowBytes - Int(stream.avail_out)) else { return false }
        if code == Z_STREAM_END { return isLast && stream.avail_in == 0 }
        // Z_BUF_ERROR says that there was nothing left to do.
        guard code == Z_OK || code == Z_BUF_ERROR else { return false }
        if stream.avail_in == 0, stream.avail_out > 0 { return !isLast }
      }
    }
    guard isSame, comparison.isAtEnd else { throw .differs(library) }
  }

  public func end(_ file: CompressedFile) -> [UInt8] {
    // The size is told modulo 2^32 (RFC 1952 section 2.3.1).
    let size = UInt32(truncatingIfNeeded: file.size)
    return [file.crc32, size].flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  }
}
