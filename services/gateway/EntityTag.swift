// Strong validators of what is sent (RFC 9110 section 8.8.3), and the question whether a reader has it already.
import HTTPTypes
import Hummingbird

struct EntityTag: CustomStringConvertible, Equatable {
  /// With its quotes.
  let description: String

  /// FNV-1a, 64 bits, and the length: it must differ between versions of a thing, not resist an attacker.
  init(of data: some Collection<UInt8>) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in data { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    description = "\"\(String(hash, radix: 16))-\(data.count)\""
  }

  /// By If-None-Match, which compares weakly (RFC 9110 section 13.1.2).
  func isKnown(to headers: HTTPFields) -> Bool {
    headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }.contains { candidate in
      let tag = candidate.filter { $0 != " " }
      return tag == "*" || tag == description || tag == "W/" + description
    }
  }
}
