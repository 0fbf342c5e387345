// Which files are compressed, to what, and what their names become by it: as the request says for all files, or file by file
// by a sample of its bytes.
import Compressors
import Destinations
import FerryAPI

extension Compression {
  /// The format of a file that has this compression; nil where it lies as at the source.
  var format: (any Compressor.Type)? {
    switch self {
    case .gzip: GzipCompressor.self
    case .zstd: ZstdCompressor.self
    default: nil
    }
  }

  /// - Parameter level: 0 for the format's own default.
  func compressor(level: Int32) -> (any Compressor)? {
    switch self {
    case .gzip: GzipCompressor(level: level == 0 ? GzipCompressor.defaultLevel : Int(level))
    case .zstd: ZstdCompressor(level: level == 0 ? ZstdCompressor.defaultLevel : Int(level))
    default: nil
    }
  }

  /// What automatic compression compresses to: what everyone can unpack.
  static let automaticFormat = Compression.gzip

  /// "gzip", as people read it.
  var word: String {
    switch self {
    case .gzip: "gzip"
    case .zstd: "zstd"
    case .automatic: "gzip where it pays"
    default: "none"
    }
  }
}

extension DeliveryOptions {
  /// Some files may be compressed.
  var compresses: Bool { compression == .automatic || compression.format != nil }
}

extension DeliveryFile {
  /// Bytes at the destination, once it is delivered.
  var sizeThere: Int64 { compression.format == nil ? size : deliveredSize }

  /// All names that the file has or may get.
  func names(_ options: DeliveryOptions) throws(DestinationError) -> [RemotePath] {
    let path = try RemotePath(text: remotePath)
    var names = path.whole(hasSidecar: options.checksumSidecar)
    if options.compression == .automatic, compression == .unspecified, let format = Compression.automaticFormat.format {
      names += try path.suffixed(format.suffix).whole(hasSidecar: options.checksumSidecar)
    }
    return names
  }
}

extension FileDelivery {
  /// Settles, before anything of the file is at the destination, whether it is compressed, and to what name. The same bytes give
  /// the same answer, so a run that died before it could write it down does no harm.
  func chooseCompression() async throws {
    if tools.options.compression == .automatic, file.compression == .unspecified {
      file.compression = try await wouldPay() ? Compression.automaticFormat : .none
      if let format = file.compression.format { file.remotePath += format.suffix }
    }
    prepareToPack()
  }

  private func wouldPay() async throws -> Bool {
    guard file.size >= CompressionSample.leastFileSize else { return false }
    return try await tools.insist("looking at \(name)") { [reader, file, tools] in
      let sample = try await reader.sample(0..<min(file.size, CompressionSample.bytes))
      return await tools.threads.run {
        // A sample that can't be compressed says that it doesn't pay.
        (try? CompressionSample.pays(sample)) ?? false
      }
    }
  }
}
