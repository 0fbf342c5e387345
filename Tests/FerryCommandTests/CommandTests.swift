// What the command line does by itself: reading what people type, checking receipts, showing figures.
import ArgumentParser
import Crypto
import FerryAPI
import FoundationEssentials
import Testing

@testable import FerryCommand

@Suite("What people type")
struct LocationTests {
  @Test("a source keeps its key as it is, whatever characters it holds")
  func source() throws {
    let source = try Locations.source("s3://bucket/a b/100%25 #1?x=+y.txt", connection: nil)
    #expect(source.connection == "default")
    #expect(source.bucket == "bucket")
    #expect(source.selections.map(\.value) == ["a b/100%25 #1?x=+y.txt"])
    #expect(source.selections.first?.kind == .unspecified)
  }

  @Test("a key that ends in a slash, and no key at all, select what is under them", arguments: ["s3://b/x/", "s3://b/", "s3://b"])
  func prefix(text: String) throws {
    #expect(try Locations.source(text, connection: nil).selections.first?.kind == .prefix)
  }

  @Test("another scheme names its connection")
  func folder() throws {
    #expect(try Locations.source("folder://b/k", connection: nil).connection == "folder")
    #expect(try Locations.source("folder://b/k", connection: "mine").connection == "mine")
  }

  @Test("a source without a scheme or a bucket is refused", arguments: ["bucket/key", "s3://", "s3:///key"])
  func badSource(text: String) {
    #expect(throws: ValidationError.self) { try Locations.source(text, connection: nil) }
  }

  @Test("a destination is a URL, a saved name, or a name with a path of its own")
  func destination() {
    #expect(Locations.destination("sftp://u@h:2222/p:q").destination.url == "sftp://u@h:2222/p:q")
    #expect(Locations.destination("acme").destination.name == "acme")
    let own = Locations.destination("acme:/in/2026/")
    #expect(own.destination.name == "acme")
    #expect(own.path == "/in/2026/")
  }

  @Test("an enumeration is typed in any case, and a wrong word is answered with the right ones")
  func enumerations() throws {
    #expect(try FerryAPI.Environment.parse("Prod", prefix: "ENVIRONMENT_") == .prod)
    let error = #expect(throws: ValidationError.self) {
      _ = try FerryAPI.Environment.parse("live", prefix: "ENVIRONMENT_")
    }
    #expect(error?.message.contains("dev, uat, prod") == true)
    #expect(throws: ValidationError.self) { try Priority.parse("unspecified", prefix: "PRIORITY_") }
  }
}

@Suite("Receipts")
struct ReceiptProofTests {
  private let key = Curve25519.Signing.PrivateKey()

  private func encoded(_ data: some Sequence<UInt8>) -> String {
    String(Data(data).base64EncodedString().compactMap { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? nil : $0 })
  }

  private var jwk: String { #"{"kty":"OKP","crv":"Ed25519","x":"\#(encoded(key.publicKey.rawRepresentation))"}"# }

  private func proof(_ payload: String, header: String = #"{"alg":"EdDSA"}"#) throws -> String {
    let protected = encoded(header.utf8)
    let body = encoded(payload.utf8)
    let signature = try key.signature(for: Data("\(protected).\(body)".utf8))
    return #"{"protected":"\#(protected)","payload":"\#(body)","signature":"\#(encoded(signature))"}"#
  }

  @Test("a genuine receipt is accepted with the public key alone")
  func genuine() throws {
    let payload = #"{"deliveryId":"dlv_1"}"#
    #expect(try ReceiptProof.verify(proof(payload), publicKey: jwk) == payload)
  }

  @Test("any changed character of the payload or the signature is noticed")
  func tampered() throws {
    let genuine = try proof(#"{"deliveryId":"dlv_1","totalBytes":"100"}"#)
    for (index, character) in genuine.enumerated() where character.isLetter || character.isNumber {
      var changed = Array(genuine)
      changed[index] = character == "A" ? "B" : "A"
      let text = String(changed)
      // The last character of a base64 text may hold unused bits: a change there can mean the same bytes.
      if let payload = try? ReceiptProof.verify(text, publicKey: jwk) {
        #expect(payload == #"{"deliveryId":"dlv_1","totalBytes":"100"}"#)
      }
    }
    #expect(throws: ReceiptProof.Refusal.self) {
      let other = try proof("{}").split(separator: "\"signature\"").last ?? ""
      let first = genuine.split(separator: "\"signature\"").first ?? ""
      _ = try ReceiptProof.verify(String(first) + "\"signature\"" + String(other), publicKey: jwk)
    }
  }

  @Test("another key, another algorithm and another key's name are refused")
  func refused() throws {
    let other = Curve25519.Signing.PrivateKey().publicKey.rawRepresentation
    #expect(throws: ReceiptProof.Refusal.self) {
      try ReceiptProof.verify(proof("{}"), publicKey: #"{"kty":"OKP","crv":"Ed25519","x":"\#(encoded(other))"}"#)
    }
    #expect(throws: ReceiptProof.Refusal.self) {
      try ReceiptProof.verify(proof("{}", header: #"{"alg":"none"}"#), publicKey: jwk)
    }
    #expect(throws: ReceiptProof.Refusal.self) {
      try ReceiptProof.verify(proof("{}", header: #"{"alg":"EdDSA","kid":"other"}"#), publicKey: jwk)
    }
    #expect(throws: ReceiptProof.Refusal.self) { try ReceiptProof.verify("not json", publicKey: jwk) }
    #expect(throws: ReceiptProof.Refusal.self) { try ReceiptProof.verify(proof("{}"), publicKey: "{}") }
  }
}

@Suite("Figures")
struct PrintingTests {
  @Test("sizes and durations read as people write them")
  func figures() {
    #expect(Printing.bytes(0) == "0 B")
    #expect(Printing.bytes(1023) == "1023 B")
    #expect(Printing.bytes(64 << 20) == "64.0 MiB")
    #expect(Printing.bytes(1536) == "1.5 KiB")
    #expect(Printing.duration(seconds: 65) == "1:05")
    #expect(Printing.duration(seconds: 3605) == "1:00:05")
  }

  @Test("speed is measured over the last seconds, not from the start")
  func speed() {
    var speed = Speed()
    let start = ContinuousClock.now
    #expect(speed.update(0, at: start) == 0)
    #expect(abs(speed.update(1000, at: start + .seconds(1)) - 1000) < 1)
    _ = speed.update(1000, at: start + .seconds(20))
    #expect(abs(speed.update(3000, at: start + .seconds(21)) - 2000) < 1)
  }
}
