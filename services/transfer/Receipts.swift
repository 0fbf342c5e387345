// A receipt: what was delivered where, when and how it was proven, signed and kept in the delivery's own journal. Made
// from the journal's file records alone, which hold only what was proven.
import DocumentStore
import FerryAPI
import ServiceKit

enum Receipts {
  /// - Parameters:
  ///   - byServer: the server may have computed SHA-256 itself.
  ///   - files: all; those that the server proved by another hash are told.
  ///   - compresses: some files may have been compressed on their way.
  static func proof(
    _ proof: Proof = .sha256, byServer: Bool, files: ReceiptFiles? = nil, compresses: Bool = false
  ) -> String {
    let compared = compresses ? "; what was compressed was unpacked and compared with the source before it was sent" : ""
    if proof == .size {
      return "size alone, as the requester chose; sha256 is of the bytes as \(compresses ? "sent" : "read from the source")" + compared
    }
    let bySHA256 = byServer ? "sha256, computed by the server or read back" : "sha256, read back"
    guard let files, !files.byServer.isEmpty else { return bySHA256 + compared }
    let others = files.byServer.sorted { $0.key > $1.key }
      .map { "the server's own \($0.key) of \(ByteText.files($0.value)), which the bytes sent have whose sha256 is named" }
    let isAll = files.byServer.values.reduce(0, +) == files.count
    return ((isAll ? [] : [bySHA256]) + others).joined(separator: "; ") + compared
  }

  /// Files that a receipt lists itself; a longer list is in parts.
  static let maxFiles = 10_000
  /// Bytes of a piece: a document holds no more than `Batch.maximumBodySize`.
  private static let pieceBytes = 300 * 1024
  /// Bytes of a receipt's payload for which the answer also holds it decoded and as a file; a larger one is the three
  /// parts of the signature alone, so that the answer stays within a message.
  static let maxDecodedBytes = 1 << 20

  static func make(
    _ delivery: Delivery, files: ReceiptFiles, hostKey: String, source: String, server: String, proof: String,
    finishedAt: Timestamp
  ) -> Receipt {
    var receipt = Receipt()
    receipt.deliveryID = delivery.id
    receipt.requester = delivery.requester
    receipt.userTicket = delivery.userTicket
    receipt.auditTicket = delivery.auditTicket
    receipt.source = source
    receipt.destination = server
    receipt.hostKey = hostKey
    (receipt.files, receipt.parts) = (files.listed, files.parts)
    (receipt.totalFiles, receipt.totalBytes) = (files.count, files.bytes)
    receipt.startedAt = delivery.startedAt
    receipt.finishedAt = finishedAt
    receipt.proof = proof
    return receipt
  }

  static func put(_ signed: SignedReceipt, into batch: inout Batch) {
    let bytes = signed.encodedBytes()
    var (start, piece) = (0, 0)
    while start < bytes.count {
      let end = min(start + pieceBytes, bytes.count)
      batch.put(JournalKeys.receipt(piece), Array(bytes[start..<end]))
      (start, piece) = (end, piece + 1)
    }
  }

  /// The receipt as callers get it. `pieces` in order.
  static func open(_ pieces: [[UInt8]]) throws -> SignedReceipt {
    var signed = try SignedReceipt(decoding: pieces.flatMap { $0 })
    guard signed.payload.utf8.count <= maxDecodedBytes, let payload = Base64URL.decode(signed.payload) else {
      return signed
    }
    signed.receipt = try Receipt(json: String(decoding: payload, as: UTF8.self))
    signed.jwsJSON = signed.flattenedJSON
    return signed
  }
}
