// Servers' words, as text in and values out: replies, features, facts, listings, hashes and what is made of refusals.
import Testing

@testable import Destinations
@testable import Transport

@Suite("FTP replies") struct FTPReplyTests {
  private func replies(_ text: String) -> [FTPReply] {
    var replies = FTPReplies()
    replies.add(text: Array(text.utf8))
    return replies.all
  }

  @Test("a reply of several lines ends with its code and a space")
  func lines() {
    let all = replies("211-Features:\r\n UTF8\r\n 211 is no end: a space is before it\r\n HASH SHA-1;SHA-256*\r\n211 End\r\n200 Ok\r\n")
    #expect(all.map(\.code) == [211, 200])
    #expect(all.first?.lines.count == 5)
    let features = FTPFeatures(all.first)
    #expect(features.utf8)
    #expect(features.hashes == [.sha256, .sha1])
    #expect(!features.mlst)
  }

  @Test("hashes that a server offers are known, the strongest first, by HASH or a command of their own")
  func hashes() {
    func offered(_ lines: String) -> FTPFeatures { FTPFeatures(replies("211-F\r\n\(lines)211 End\r\n").first) }
    #expect(offered(" XCRC\r\n XMD5\r\n XSHA\r\n HASH SHA-512*;MD5\r\n").hashes == [.sha1, .md5, .crc32])
    #expect(offered(" XSHA256\r\n").hashes == [.sha256])
    #expect(offered(" HASH SHA-1;sha-256*\r\n").offer(.sha256) == .inForce)
    #expect(offered(" HASH SHA-1;sha-256*\r\n").offer(.sha1) == .known)
    #expect(offered(" XMD5 filename;start;end\r\n").hashes == [.md5])
    #expect(offered(" MD5\r\n SIZE\r\n").hashes.isEmpty)
  }

  @Test("hashes are found in what servers say of them, and nothing else is taken for one")
  func hashValues() throws {
    func value(_ hash: FTPHash, _ text: String) throws -> [UInt8]? { hash.value(in: try #require(replies(text + "\r\n").first)) }
    let sha1 = "1b5dca63de7c498633a4cad4acdc0d4bcb779871"
    #expect(try value(.sha1, "213-Computing SHA-1 digest\r\n213 SHA-1 0-300000 \(sha1) a b.bin")?.hexadecimal == sha1)
    #expect(try value(.sha1, "250 \(sha1.uppercased())")?.hexadecimal == sha1)
    #expect(try value(.sha256, "250 \(sha1)") == nil)
    #expect(try value(.md5, "251 a.bin 4B68869ABDD30437053596F586C8CFB3")?.first == 0x4b)
    #expect(try value(.crc32, "250-Computing CRC32 digest\r\n250 E0B7AE96") == [0xe0, 0xb7, 0xae, 0x96])
    #expect(try value(.crc32, "250 7AE96") == [0, 7, 0xae, 0x96])
    #expect(try value(.crc32, "250 done") == nil)
    #expect(try value(.sha1, "250 " + String(repeating: "g", count: 40)) == nil)
  }

  @Test("facts, times and listings are read")
  func facts() throws {
    let file = replies("250-Listing\r\n Type=file;Size=1234;Modify=20240229123456; a b.csv\r\n250 End\r\n")[0]
    #expect(FTPFacts.mlst(file) == FTPFileInfo(size: 1234, modified: 1_709_210_096, isDirectory: false))
    let folder = replies("250-Listing\r\n type=dir;modify=19700101000000; x\r\n250 End\r\n")[0]
    #expect(FTPFacts.mlst(folder) == FTPFileInfo(size: 0, modified: 0, isDirectory: true))
    #expect(FTPFacts.list("-rw-r--r-- 1 u g 77 Jan 01 00:00 a b.csv\r\n", name: "a b.csv")?.size == 77)
    #expect(FTPFacts.list("01-31-24  12:00AM        78 a.csv\r\n", name: "a.csv")?.size == 78)
    #expect(FTPFacts.list("-rw-r--r-- 1 u g 77 Jan 01 00:00 other\r\n", name: "a.csv") == nil)
    #expect(FTPFacts.list("", name: "a.csv") == nil)
    let hash = String(repeating: "0f", count: 32)
    #expect(FTPHash.sha256.value(in: replies("213 SHA-256 0-9 \(hash) a.csv\r\n")[0]) == Array(repeating: 15, count: 32))
  }

  @Test("a refusal is told by its code and its words", arguments: [
    ("530 Login incorrect.", .loginRefused), ("530 Too many connections.", .unreachable),
    ("530 Non-anonymous sessions must use encryption.", .unreachable), ("421 There are too many connected users.", .unreachable),
    ("452 Insufficient storage.", .noSpace), ("552 Exceeded storage allocation.", .quota),
    ("451 Failure: no space left on device.", .noSpace), ("553 File name not allowed.", .invalidPath),
    ("553 Could not create file.", .denied), ("550 Permission denied.", .denied), ("550 No such file.", .missing),
    ("550 File exists.", .conflict), ("502 Command not implemented.", .unsupported), ("425 No data connection.", .unreachable),
  ] as [(String, DestinationError.Kind)])
  func refusals(line: String, kind: DestinationError.Kind) {
    let error = DestinationError(
      FTPError(replies(line + "\r\n")[0], "write /a", .write, at: SSHEndpoint(host: "h", port: 21)))
    #expect(error.kind == kind)
    #expect(error.providerCode == line)
    #expect(!error.nextStep.isEmpty)
  }

  @Test("a server that talks on and on is cut")
  func bounded() {
    #expect(replies("211-x\r\n" + String(repeating: " y\r\n", count: 100_000) + "211 End\r\n").isEmpty)
  }
}
