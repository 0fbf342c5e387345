// Whether compressing a file would pay, by a part of it: text and tables shrink to a fraction, what is compressed already does
// not shrink at all, and little lies between.
import NIOCore

public enum CompressionSample {
  /// Bytes from a file's start that tell it well enough.
  public static let bytes: Int64 = 64 << 10
  /// A file below this is sent as fast as it is looked at.
  public static let leastFileSize: Int64 = 4 << 10
  /// What is left of the sample when it pays, in hundredths.
  public static let mostLeft = 85

  /// Takes a millisecond.
  public static func pays(_ sample: ByteBuffer) throws(CompressorError) -> Bool {
    let fast = try GzipCompressor(level: 1).compress(sample, isFirst: true, isLast: true)
    return fast.bytes.readableBytes * 100 <= sample.readableBytes * mostLeft
  }
}
