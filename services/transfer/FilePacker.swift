// One file compressed on its way: its chunks side by side, then each given its place behind the one before it. A place, once
// given, is in the journal before a byte is written to it, and a chunk that is compressed again, by a retry or a later run,
// must come out as it did before.
import Compressors
import FerryAPI
import NIOCore

actor FilePacker {
  /// What one chunk became.
  struct Packed: Sendable {
    var bytes: ByteBuffer
    /// Where it goes at the destination.
    var offset: Int64
    /// Of the source bytes.
    var crc32: UInt32
  }

  private struct Place {
    var end: Int64
    var crc32: UInt32
  }

  /// The code of a failure after which nothing that was written of the file counts.
  static let changed = "COMPRESSION_CHANGED"

  private let compressor: any Compressor
  private let threads: WorkThreads
  private let name: String
  /// Source bytes of each chunk.
  private let lengths: @Sendable (Int32) -> Int64
  private let count: Int32
  private var places: [Place] = []
  private var sums = CompressedFile()
  private let placed = Milestone()

  /// - Parameters:
  ///   - name: of the file, for errors.
  ///   - chunks: as the journal has them; those without a gap from the first on have their places.
  ///   - lengths: source bytes of a chunk.
  init(
    _ compressor: any Compressor, _ threads: WorkThreads, name: String, count: Int32, chunks: [Int32: Chunk],
    lengths: @escaping @Sendable (Int32) -> Int64
  ) {
    (self.compressor, self.threads, self.name, self.count, self.lengths) = (compressor, threads, name, count, lengths)
    for index in 0..<count {
      guard let chunk = chunks[index], chunk.deliveredLength > 0, chunk.deliveredOffset == places.last?.end ?? 0 else { break }
      places.append(Place(end: chunk.deliveredOffset + chunk.deliveredLength, crc32: chunk.crc32))
      sums.add(crc32: chunk.crc32, length: lengths(index))
    }
    placed.reach(Int32(places.count))
  }

  /// Chunks that have their places.
  var placedChunks: Int32 { Int32(places.count) }

  /// Bytes at the destination; nil until all chunks have their places.
  var size: Int64? { placedChunks == count ? places.last?.end : nil }

  func pack(_ index: Int32, _ bytes: ByteBuffer) async throws -> Packed {
    let isLast = index == count - 1
    let made = await threads.run { [compressor] () -> Result<CompressedChunk, CompressorError> in
      do throws(CompressorError) {
        return .success(try compressor.compress(bytes, isFirst: index == 0, isLast: isLast))
      } catch {
        return .failure(error)
      }
    }
    var chunk: CompressedChunk
    do { chunk = try made.get() } catch { throw failure(error) }
    try await placed.until(index)
    let isNew = index == placedChunks
    if isNew { sums.add(crc32: chunk.crc32, length: lengths(index)) }
    if isLast { chunk.bytes.writeBytes(compressor.end(sums)) }
    let start = index == 0 ? 0 : places[Int(index) - 1].end
    let end = start + Int64(chunk.bytes.readableBytes)
    if isNew {
      places.append(Place(end: end, crc32: chunk.crc32))
      placed.reach(index + 1)
    } else if places[Int(index)].end != end || places[Int(index)].crc32 != chunk.crc32 {
      throw DeliveryFailure(
        FilePacker.changed,
        "Chunk \(index + 1) of \(count) of \(name), read and compressed again, is not what it was before.",
        next: "Retry the delivery: the file is then sent from its start.")
    }
    return Packed(bytes: chunk.bytes, offset: start, crc32: chunk.crc32)
  }

  private func failure(_ error: CompressorError) -> DeliveryFailure {
    DeliveryFailure(
      "COMPRESSION_FAILED", "\(name) could not be compressed: \(error).",
      next: "Try again; if it stays, deliver it without compression and have this machine's memory checked.",
      retryable: true)
  }
}
