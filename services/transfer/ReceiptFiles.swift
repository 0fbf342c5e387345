// The list of files of a receipt, made from the journal's records one by one: in the receipt itself where it is short, else as
// parts beside it, each bound to the receipt by its hash, so that a receipt for a million files is still one small text.
import Crypto
import FerryAPI

struct ReceiptFiles {
  /// Bytes of a part, which is one document of the journal and one answer.
  static let maxPartBytes = 256 << 10

  /// One part, as it is kept and handed out: lines of proto3 JSON, a ReceiptFile each.
  struct Part: Equatable {
    var number: Int
    var text: [UInt8]
  }

  /// The list is in parts.
  let isLong: Bool
  private(set) var listed: [ReceiptFile] = []
  private(set) var parts: [ReceiptPart] = []
  private(set) var count: Int64 = 0
  private(set) var bytes: Int64 = 0
  /// Files that the server proved by another hash than SHA-256: how many by "sha1", "md5" or "crc32".
  private(set) var byServer: [String: Int64] = [:]
  private var text: [UInt8] = []
  private var lines: Int32 = 0

  /// - Parameter total: how many files there will be.
  init(total: Int64, maxListed: Int = Receipts.maxFiles) { isLong = total > maxListed }

  /// The part that is full, if one is: it has to be kept before the receipt is.
  mutating func add(_ file: DeliveryFile) -> Part? {
    let line = ReceiptFile.with {
      $0.key = file.key
      $0.path = file.remotePath
      $0.size = file.sizeThere
      $0.sha256 = file.sha256
      $0.version = file.versionID.isEmpty ? file.etag : file.versionID
      $0.deliveredAt = file.deliveredAt
      $0.serverChecksum = file.serverChecksum
      guard file.compression.format != nil else { return }
      ($0.compression, $0.sourceSize, $0.sourceSHA256) = (file.compression, file.size, file.sourceSHA256)
    }
    count += 1
    bytes += file.sizeThere
    if let hash = file.serverChecksum.split(separator: ":").first { byServer[String(hash), default: 0] += 1 }
    guard isLong else {
      listed.append(line)
      return nil
    }
    let encoded = Array((line.jsonString() + "\n").utf8)
    let full = text.count + encoded.count > Self.maxPartBytes ? close() : nil
    text += encoded
    lines += 1
    return full
  }

  /// What is left when all files were added.
  mutating func close() -> Part? {
    guard lines > 0 else { return nil }
    let part = Part(number: parts.count, text: text)
    parts.append(
      ReceiptPart.with {
        ($0.files, $0.bytes) = (lines, Int64(text.count))
        $0.sha256 = Hex.encode(SHA256.hash(data: text))
      })
    text.removeAll(keepingCapacity: true)
    lines = 0
    return part
  }
}
