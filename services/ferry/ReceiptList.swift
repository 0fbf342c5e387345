// The list of files of a long receipt, in a file beside it: lines of JSON, which the receipt binds by the hashes of its parts.
import Crypto
import FerryAPI
import Glibc

enum ReceiptList {
  /// "receipt.files.jsonl" for "receipt.json".
  static func path(beside receipt: String) -> String {
    (receipt.hasSuffix(".json") ? String(receipt.dropLast(".json".count)) : receipt) + ".files.jsonl"
  }

  /// Reads no more than a part at a time.
  static func check(_ path: String, against receipt: Receipt) throws(ReceiptProof.Refusal) {
    guard let file = fopen(path, "r") else {
      throw ReceiptProof.Refusal("its list of files is not at \(path): save both with 'ferry receipt --output'")
    }
    defer { fclose(file) }
    for (number, part) in receipt.parts.enumerated() {
      var text = [UInt8](repeating: 0, count: Int(clamping: min(max(part.bytes, 0), maxPartBytes)))
      let read = fread(&text, 1, text.count, file)
      guard read == part.bytes, SHA256.hash(data: text).map(hex).joined() == part.sha256 else {
        throw ReceiptProof.Refusal("its list of files was changed: part \(number + 1) of \(receipt.parts.count) in \(path)")
      }
    }
    guard fgetc(file) == EOF else { throw ReceiptProof.Refusal("its list of files was changed: \(path) has more than it lists") }
  }

  /// More than any service makes.
  private static let maxPartBytes: Int64 = 4 << 20

  private static func hex(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}
