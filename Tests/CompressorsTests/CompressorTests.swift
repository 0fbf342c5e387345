// Chunks compressed one by one are one file of the format, byte for byte the same each time; damage is noticed. That other
// people's programs unpack it, Tests/Peers/test_compression.py shows.
import CZlib
import CZstd
import NIOCore
import Testing

@testable import Compressors

@Suite struct CompressorTests {
  private static let text = Array(repeating: "2026-11-27;4711;Rosenheim;EUR;1.234,56\n", count: 20_000).joined()

  private func file(_ compressor: some Compressor, _ chunks: [ByteBuffer]) throws -> [UInt8] {
    var (bytes, whole): ([UInt8], CompressedFile) = ([], CompressedFile())
    for (index, chunk) in chunks.enumerated() {
      let made = try compressor.compress(chunk, isFirst: index == 0, isLast: index == chunks.count - 1)
      bytes += Array(made.bytes.readableBytesView)
      whole.add(crc32: made.crc32, length: Int64(chunk.readableBytes))
    }
    let end = compressor.end(whole)
    #expect(end.count == compressor.endLength)
    return bytes + end
  }

  /// By zlib's own reading of gzip files, which checks CRC-32 and size; one member and nothing behind it.
  private func gunzip(_ bytes: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    let withGzipHeader: Int32 = 15 + 16
    try #require(inflateInit2_(&stream, withGzipHeader, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
    defer { inflateEnd(&stream) }
    var (input, output) = (bytes, [UInt8](repeating: 0, count: 4 << 20))
    let (code, left, room) = input.withUnsafeMutableBufferPointer { from in
      output.withUnsafeMutableBufferPointer { to in
        (stream.next_in, stream.avail_in) = (from.baseAddress, UInt32(from.count))
        (stream.next_out, stream.avail_out) = (to.baseAddress, UInt32(to.count))
        return (inflate(&stream, Z_FINISH), stream.avail_in, stream.avail_out)
      }
    }
    try #require(code == Z_STREAM_END)
    #expect(left == 0)
    return Array(output[..<(output.count - Int(room))])
  }

  private func unzstd(_ bytes: [UInt8]) throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 4 << 20)
    let count = ZSTD_decompress(&output, output.count, bytes, bytes.count)
    try #require(ZSTD_isError(count) == 0)
    return Array(output[..<count])
  }

  private func chunks(_ text: String, of size: Int) -> [ByteBuffer] {
    var (rest, chunks) = (ByteBuffer(string: text), [ByteBuffer]())
    while let chunk = rest.readSlice(length: min(size, rest.readableBytes)), chunk.readableBytes > 0 { chunks.append(chunk) }
    return chunks.isEmpty ? [ByteBuffer()] : chunks
  }

  @Test(arguments: [1, 6, 9], [1000, 65_536, 300_000, 5_000_000])
  func chunksAreOneGzipMember(level: Int, chunkSize: Int) throws {
    let bytes = try file(GzipCompressor(level: level), chunks(Self.text, of: chunkSize))
    #expect(try gunzip(bytes) == Array(Self.text.utf8))
    #expect(bytes.count < Self.text.utf8.count / 3)
    #expect(try file(GzipCompressor(level: level), chunks(Self.text, of: chunkSize)) == bytes)
  }

  @Test(arguments: [1, 3, 19], [1000, 300_000, 5_000_000])
  func chunksAreFramesOfZstd(level: Int, chunkSize: Int) throws {
    let bytes = try file(ZstdCompressor(level: level), chunks(Self.text, of: chunkSize))
    #expect(try unzstd(bytes) == Array(Self.text.utf8))
    #expect(try file(ZstdCompressor(level: level), chunks(Self.text, of: chunkSize)) == bytes)
  }

  @Test func anEmptyFileIsAValidOne() throws {
    #expect(try gunzip(try file(GzipCompressor(), [ByteBuffer()])).isEmpty)
    #expect(try unzstd(try file(ZstdCompressor(), [ByteBuffer()])).isEmpty)
  }

  @Test func whatDoesNotShrinkIsKept() throws {
    var random = SystemRandomNumberGenerator()
    let noise = (0..<300_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let parts = [ByteBuffer(bytes: noise[..<200_000]), ByteBuffer(bytes: noise[200_000...])]
    #expect(try gunzip(try file(GzipCompressor(), parts)) == noise)
    #expect(try unzstd(try file(ZstdCompressor(), parts)) == noise)
  }

  @Test func aWindowThatDiffersIsNoticed() {
    let original = Array("the bytes of the source".utf8)
    original.withUnsafeBytes { raw in
      var comparison = Comparison(raw)
      comparison.window.copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[..<9]))
      let (same, atEnd) = (comparison.next(9), comparison.isAtEnd)
      comparison.window.storeBytes(of: UInt8(ascii: "X"), as: UInt8.self)
      let (other, tooMuch) = (comparison.next(1), comparison.next(raw.count))
      #expect([same, atEnd, other, tooMuch] == [true, false, false, false])
    }
  }

  @Test func aSampleTellsTextFromWhatIsPackedAlready() throws {
    var random = SystemRandomNumberGenerator()
    let noise = (0..<Int(CompressionSample.bytes)).map { _ in UInt8.random(in: 0...255, using: &random) }
    #expect(try CompressionSample.pays(ByteBuffer(string: String(Self.text.prefix(60_000)))))
    #expect(try !CompressionSample.pays(ByteBuffer(bytes: noise)))
  }
}
