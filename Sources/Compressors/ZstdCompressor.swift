// Zstandard (RFC 8878): a frame for each chunk, with the frame's size and checksum in it. Frames one behind the other are one
// file of the format (section 3).
import CZstd
import NIOCore

public struct ZstdCompressor: Compressor {
  public static let suffix = ".zst"
  /// The library's higher ones need hundreds of megabytes, here and where the file is unpacked.
  public static let levels = 1...19
  public static let defaultLevel = 3
  public let endLength = 0

  private static let library = "libzstd"

  private let level: Int

  /// - Parameter level: within `levels`.
  public init(level: Int = defaultLevel) { self.level = level }

  public func compress(
    _ chunk: ByteBuffer, isFirst: Bool, isLast: Bool
  ) throws(CompressorError) -> CompressedChunk {
    // The typed error cannot cross the closure, so it leaves by a Result.
    let made: Result<CompressedChunk, CompressorError> = chunk.withUnsafeReadableBytes { raw in
      do throws(CompressorError) {
        let bytes = try frame(raw)
        try Self.check(bytes, against: raw)
        return .success(CompressedChunk(bytes: bytes, crc32: CRC32.of(raw)))
      } catch {
        return .failure(error)
      }
    }
    return try made.get()
  }

  private func frame(_ raw: UnsafeRawBufferPointer) throws(CompressorError) -> ByteBuffer {
    guard let context = ZSTD_createCCtx() else { throw .failed(Self.library, "no memory") }
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    let bound = ZSTD_compressBound(raw.count)
    var output = ByteBufferAllocator().buffer(capacity: bound)
    var code = 0
    output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { room in
      code = ZSTD_compress2(context, room.baseAddress, room.count, raw.baseAddress, raw.count)
      return ZSTD_isError(code) == 0 ? code : 0
    }
    guard ZSTD_isError(code) == 0 else { throw .failed(Self.library, String(cString: ZSTD_getErrorName(code))) }
    return output
  }

  private static func check(_ bytes: ByteBuffer, against raw: UnsafeRawBufferPointer) throws(CompressorError) {
    guard let context = ZSTD_createDCtx() else { throw .failed(library, "no memory") }
    defer { ZSTD_freeDCtx(context) }
    var comparison = Comparison(raw)
    let isSame = bytes.withUnsafeReadableBytes { frame in
      var input = ZSTD_inBuffer(src: frame.baseAddress, size: frame.count, pos: 0)
      while true {
        var output = ZSTD_outBuffer(dst: comparison.window.baseAddress, size: Comparison.windowBytes, pos: 0)
        let code = ZSTD_decompressStream(context, &output, &input)
        guard ZSTD_isError(code) == 0, comparison.next(output.pos) else { return false }
        // 0 says that the frame is at its end, its checksum compared.
        if code == 0 { return input.pos == input.size }
        if input.pos == input.size, output.pos < output.size { return false }
      }
    }
    guard isSame, comparison.isAtEnd else { throw .differs(library) }
  }

  public func end(_ file: CompressedFile) -> [UInt8] { [] }
}
