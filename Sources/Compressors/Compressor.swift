// Compression of a file chunk by chunk. Each chunk is compressed by itself, so that several are at once and any of them can be
// made again, byte for byte, after a crash; one behind the other they are one file of the format.
import CZlib
import Glibc
import NIOCore

/// A format that files can be compressed to. The same chunk always gives the same bytes, as long as the library behind it is
/// the same.
public protocol Compressor: Sendable {
  /// What the name of a compressed file ends with: ".gz".
  static var suffix: String { get }
  /// Levels that may be chosen.
  static var levels: ClosedRange<Int> { get }
  /// Bytes that follow the last chunk.
  var endLength: Int { get }
  /// Blocks for as long as it takes: tens of milliseconds a megabyte. What it gives was unpacked again and compared with
  /// `chunk`.
  func compress(_ chunk: ByteBuffer, isFirst: Bool, isLast: Bool) throws(CompressorError) -> CompressedChunk
  /// What follows the last chunk, made from all of them.
  func end(_ file: CompressedFile) -> [UInt8]
}

public struct CompressedChunk: Sendable {
  public var bytes: ByteBuffer
  /// Of the chunk as it was.
  public var crc32: UInt32
}

/// What is known of a file of which all chunks are compressed.
public struct CompressedFile: Sendable {
  /// Bytes, as it was.
  public private(set) var size: Int64 = 0
  /// Of the file as it was.
  public private(set) var crc32: UInt32 = 0

  public init() {}

  /// The next chunk: its CRC-32 and its length as it was.
  public mutating func add(crc32 next: UInt32, length: Int64) {
    crc32 = CRC32.combine(crc32, next, length)
    size += length
  }
}

/// The one of gzip (RFC 1952 section 8).
public enum CRC32 {
  /// - Parameter before: of what comes before, if something does.
  public static func of(_ raw: UnsafeRawBufferPointer, after before: UInt32 = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32(UInt(before), raw.assumingMemoryBound(to: UInt8.self).baseAddress, UInt32(raw.count)))
  }

  /// Of two texts one behind the other.
  /// - Parameter length: of the second, in bytes.
  static func combine(_ first: UInt32, _ second: UInt32, _ length: Int64) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_combine(UInt(first), UInt(second), Int(length)))
  }
}

public struct CompressorError: Error, Sendable, CustomStringConvertible {
  public let description: String

  /// The library has no memory, or something else that it says nothing of.
  static func failed(_ library: String, _ what: String) -> CompressorError {
    CompressorError(description: "\(library) could not compress a chunk: \(what)")
  }

  /// What was compressed does not give the chunk again.
  static func differs(_ library: String) -> CompressorError {
    CompressorError(description: "what \(library) made of a chunk does not unpack to the same bytes")
  }
}

/// Compares what comes out of unpacking, a window at a time, with what went into compressing.
struct Comparison: ~Copyable {
  static let windowBytes = 128 << 10

  let window = UnsafeMutableRawBufferPointer.allocate(byteCount: windowBytes, alignment: 16)
  private let original: UnsafeRawBufferPointer
  private var position = 0

  init(_ original: UnsafeRawBufferPointer) { self.original = original }
  deinit { window.deallocate() }

  /// False if the first `count` bytes of the window are not what comes next.
  mutating func next(_ count: Int) -> Bool {
    guard count <= original.count - position else { return false }
    if count == 0 { return true }
    guard let expected = original.baseAddress, let found = window.baseAddress else { return false }
    defer { position += count }
    return memcmp(expected + position, found, count) == 0
  }

  var isAtEnd: Bool { position == original.count }
}
