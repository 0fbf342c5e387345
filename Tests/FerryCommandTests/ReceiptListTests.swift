// The list of files beside a long receipt counts only as the receipt binds it.
import Crypto
import FerryAPI
import Foundation
import Testing

@testable import FerryCommand

@Suite struct ReceiptListTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("receipt-list-\(UUID().uuidString)")
  private let parts = ["{\"key\":\"a\"}\n{\"key\":\"b\"}\n", "{\"key\":\"c\"}\n"]

  private func refusal(_ text: String?) throws -> String? {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = ReceiptList.path(beside: folder.appendingPathComponent("r.json").path)
    #expect(path.hasSuffix("/r.files.jsonl"))
    try text?.write(toFile: path, atomically: true, encoding: .utf8)
    let receipt = Receipt.with { receipt in
      receipt.parts = parts.map { part in
        .with {
          ($0.files, $0.bytes) = (1, Int64(part.utf8.count))
          $0.sha256 = SHA256.hash(data: Data(part.utf8)).map { String(format: "%02x", $0) }.joined()
        }
      }
    }
    do throws(ReceiptProof.Refusal) { try ReceiptList.check(path, against: receipt) } catch { return error.reason }
    return nil
  }

  @Test("the list as it was saved is good")
  func good() throws { #expect(try refusal(parts.joined()) == nil) }

  @Test("a list that is missing, changed, cut or longer is refused with the reason")
  func bad() throws {
    let whole = parts.joined()
    #expect(try refusal(nil)?.contains("save both with 'ferry receipt --output'") == true)
    #expect(try refusal(whole.replacingOccurrences(of: "\"c\"", with: "\"d\""))?.contains("part 2 of 2") == true)
    #expect(try refusal(String(whole.dropFirst(1)))?.contains("part 1 of 2") == true)
    #expect(try refusal(String(whole.dropLast(1)))?.contains("part 2 of 2") == true)
    #expect(try refusal(whole + "\n")?.contains("has more than it lists") == true)
  }
}
