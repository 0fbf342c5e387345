// A receipt is checked with the published key alone, and a changed byte shows.
import Crypto
import DocumentStore
import FerryAPI
import FoundationEssentials
import ServiceKit
import Testing

@testable import TransferService

@Suite struct ReceiptTests {
  private let signer: ReceiptSigner
  private let receipt: Receipt

  init() throws {
    signer = try ReceiptSigner(seed: Array(0..<32))
    let delivery = Delivery.with { ($0.id, $0.userTicket, $0.auditTicket) = ("dlv_1", "REQ0000001", "AUD0000001") }
    let file = DeliveryFile.with {
      ($0.key, $0.remotePath, $0.size, $0.etag) = ("in/ä \"b\".csv", "/out/b.csv", 3, "\"e\"")
      $0.sha256 = String(repeating: "ab", count: 32)
    }
    var files = ReceiptFiles(total: 1)
    _ = files.add(file)
    receipt = Receipts.make(
      delivery, files: files, hostKey: "SHA256:x", source: "s3://in", server: "sftp://u@h",
      proof: Receipts.proof(byServer: false),
      finishedAt: Timestamp(milliseconds: 5000))
  }

  private struct JWK: Decodable { var kty, crv, x, kid: String }

  private func isValid(_ signed: SignedReceipt, _ jwk: String) throws -> Bool {
    let jwk = try JSONDecoder().decode(JWK.self, from: Data(jwk.utf8))
    let x = try #require(Base64URL.decode(jwk.x))
    guard let signature = Base64URL.decode(signed.signature) else { return false }
    let key = try Curve25519.Signing.PublicKey(rawRepresentation: x)
    return key.isValidSignature(signature, for: Array("\(signed.protected).\(signed.payload)".utf8))
  }

  @Test("the published key alone checks a receipt")
  func verifies() throws {
    let signed = try signer.sign(Array(receipt.jsonString().utf8))
    #expect(try isValid(signed, signer.jwk))
  }

  @Test("the key's id is its RFC 7638 thumbprint")
  func thumbprint() throws {
    let jwk = try JSONDecoder().decode(JWK.self, from: Data(signer.jwk.utf8))
    let digest = SHA256.hash(data: Array(#"{"crv":"Ed25519","kty":"OKP","x":"\#(jwk.x)"}"#.utf8))
    #expect(jwk.kid == Base64URL.encode(digest))
    let signed = try signer.sign([])
    let header = String(decoding: try #require(Base64URL.decode(signed.protected)), as: UTF8.self)
    #expect(header == #"{"alg":"EdDSA","kid":"\#(jwk.kid)"}"#)
  }

  @Test("a long list is in parts, each no larger than a document, bound to the receipt by its hash")
  func parts() throws {
    var files = ReceiptFiles(total: 3000, maxListed: 2999)
    var kept: [ReceiptFiles.Part] = []
    for index in 0..<3000 {
      let file = DeliveryFile.with {
        ($0.key, $0.remotePath, $0.size) = ("in/\(index)", "/out/" + String(repeating: "n", count: 200) + "\(index)", 7)
        $0.sha256 = String(repeating: "ab", count: 32)
      }
      if let part = files.add(file) { kept.append(part) }
    }
    if let part = files.close() { kept.append(part) }
    #expect(files.listed.isEmpty && files.count == 3000 && files.bytes == 21_000)
    #expect(kept.map(\.number) == Array(0..<kept.count) && kept.count == files.parts.count && kept.count > 1)
    var keys: [String] = []
    for (part, bound) in zip(kept, files.parts) {
      #expect(part.text.count <= ReceiptFiles.maxPartBytes && part.text.count == bound.bytes)
      #expect(Hex.encode(SHA256.hash(data: part.text)) == bound.sha256)
      let lines = part.text.split(separator: UInt8(ascii: "\n"))
      #expect(lines.count == bound.files)
      keys += try lines.map { try ReceiptFile(json: String(decoding: $0, as: UTF8.self)).key }
    }
    #expect(keys == (0..<3000).map { "in/\($0)" })
    #expect(files.close() == nil)
  }

  @Test("a list of as many files as a receipt holds is in the receipt")
  func listed() {
    var files = ReceiptFiles(total: 2, maxListed: 2)
    #expect(files.add(DeliveryFile()) == nil && files.add(DeliveryFile()) == nil && files.close() == nil)
    #expect(files.listed.count == 2 && files.parts.isEmpty)
  }

  @Test("every changed byte of the payload breaks the signature")
  func flipped() throws {
    let signed = try signer.sign(Array(receipt.jsonString().utf8))
    let payload = try #require(Base64URL.decode(signed.payload))
    for index in payload.indices {
      var changed = payload
      changed[index] ^= 1
      var forged = signed
      forged.payload = Base64URL.encode(changed)
      #expect(try !isValid(forged, signer.jwk), "byte \(index)")
    }
  }

  @Test("another key does not check it")
  func otherKey() throws {
    let other = try ReceiptSigner(seed: Array(1..<33))
    let signed = try signer.sign([1, 2, 3])
    #expect(try !isValid(signed, other.jwk))
  }

  @Test("a receipt of many pieces comes out of the journal as it went in")
  func pieces() throws {
    var long = receipt
    for number in 0..<2000 {
      long.files.append(ReceiptFile.with { ($0.key, $0.sha256) = ("key/\(number)", String(repeating: "c", count: 64)) })
    }
    for receipt in [receipt, long] {
      let signed = try signer.sign(Array(receipt.jsonString().utf8))
      var batch = Batch(partition: "p")
      Receipts.put(signed, into: &batch)
      try batch.validate()
      let pieces = batch.operations.map { operation -> [UInt8] in
        if case .put(let body, _) = operation.action { return body }
        return []
      }
      let opened = try Receipts.open(pieces)
      #expect(opened.payload == signed.payload)
      #expect(opened.receipt == receipt)
      #expect(opened.jwsJSON == signed.flattenedJSON)
      #expect(try isValid(opened, signer.jwk))
    }
  }
}
