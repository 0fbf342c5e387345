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
    #expect(features.computesSHA256)
    #expect(!features.mlst)
  }

  @Test("weaker hashes are no proof")
  func weakHashes() {
    #expect(!FTPFeatures(replies("211-F\r\n XCRC\r\n XMD5\r\n XSHA1\r\n HASH SHA-1*;MD5\r\n211 End\r\n").first).computesSHA256)
    #expect(FTPFeatures(replies("211-F\r\n XSHA256\r\n211 End\r\n").first).computesSHA256)
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
    #expect(FTPFacts.sha256(replies("213 SHA-256 0-9 \(hash) a.csv\r\n")[0]) == Array(repeating: 15, count: 32))
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
