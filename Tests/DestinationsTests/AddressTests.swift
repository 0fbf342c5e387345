// URLs and paths: what is understood, what is refused, and that nothing secret is said about it.
import Testing

@testable import Destinations

@Suite("Destination URLs") struct AddressTests {
  @Test("a URL's parts are decoded and written back")
  func parses() throws {
    let address = try DestinationAddress("sftp://us%40er@files.example.com:2222/in/a%20b%25/")
    #expect(address.user == "us@er")
    #expect(address.host == "files.example.com")
    #expect(address.port == 2222)
    #expect(address.path.text == "/in/a b%")
    #expect(address.description == "sftp://us%40er@files.example.com:2222/in/a%20b%25")
    #expect(try DestinationAddress(address.description) == address)
  }

  @Test("a path is below the root, below the home, or the home itself", arguments: [
    ("sftp://u@h/x/y", "/x/y", "/x/y"), ("sftp://u@h/~/x", "x", "~/x"), ("sftp://u@h", ".", "~"),
    ("sftp://u@h/~", ".", "~"), ("sftp://u@h/", "/", "/"), ("SFTP://u@h/%E2%82%AC", "/€", "/€"),
  ])
  func paths(url: String, text: String, shown: String) throws {
    let address = try DestinationAddress(url)
    #expect(address.path.text == text)
    #expect(address.path.description == shown)
    #expect(address.port == 22)
    #expect(try DestinationAddress(address.description) == address)
  }

  @Test("each scheme has its own port, which is not written", arguments: [
    ("ftp://u@h/x", 21), ("ftpes://u@h/x", 21), ("ftps://u@h/x", 990), ("sftp://u@h/x", 22),
  ] as [(String, UInt16)])
  func ports(url: String, port: UInt16) throws {
    let address = try DestinationAddress(url)
    #expect(address.port == port)
    #expect(address.description == url)
    #expect(DestinationRegistry.schemes.contains(address.scheme))
  }

  @Test("an IPv6 address stands in brackets")
  func ipv6() throws {
    let address = try DestinationAddress("sftp://u@[::1]:2022/a")
    #expect(address.host == "::1")
    #expect(address.port == 2022)
    #expect(address.description == "sftp://u@[::1]:2022/a")
  }

  @Test("a password in a URL is refused and not repeated")
  func password() {
    let error = #expect(throws: DestinationError.self) { try DestinationAddress("sftp://u:s3cret@h/a") }
    #expect(error?.kind == .invalidAddress)
    #expect(error?.description.contains("s3cret") == false)
    #expect(error?.message.contains("password") == true)
  }

  @Test("what can't be meant is refused", arguments: [
    "", "u@h/a", "http://u@h/a", "sftp://h/a", "sftp://@h/a", "sftp://u@/a", "sftp://u@h:0/a", "sftp://u@h:65536/a",
    "sftp://u@h:x/a", "sftp://u@[::1/a", "sftp://u@[zz]/a", "sftp://u@h/a?b", "sftp://u@h/a#b", "sftp://u@h/a%2",
    "sftp://u@h/a%zz", "sftp://u@h/a%FF", "sftp://u@h/a//b", "sftp://u@h/a/../b", "sftp://u@h/a/%2e%2e/b",
    "sftp://u@h/a%2Fb", "sftp://u@h/a%00b", "sftp://u@h/./a", "sftp://u%00@h/a", "sftp://u@h h/a", "sftp://u@h/a%+1",
  ])
  func refused(url: String) {
    let error = #expect(throws: DestinationError.self) { try DestinationAddress(url) }
    #expect(error?.kind == .invalidAddress || error?.kind == .invalidPath)
    #expect(error?.nextStep.isEmpty == false)
  }
}

@Suite("Remote paths") struct PathTests {
  private let base = RemotePath(.root)

  @Test("a key joins as it is written", arguments: [
    "a", "a/b.csv", "with space", "it's \"quoted\"", "#1%+&?*", "日本語/Ünïcode", "🚢.bin", "-rf", "~", "a\\b", "...",
  ])
  func joins(key: String) throws {
    #expect(try base.appending(key).text == "/" + key)
  }

  @Test("a key can't leave its folder or confuse a server", arguments: [
    "", "/etc/passwd", "a//b", "a/", ".", "..", "a/../b", "../a", "a/./b", "a\u{0}b", "a\nb", "a\u{7F}", "a\u{9B}b",
    String(repeating: "x", count: 256), String(repeating: "é", count: 128),
  ])
  func refuses(key: String) {
    let error = #expect(throws: DestinationError.self) { try base.appending(key) }
    #expect(error?.kind == .invalidPath)
    #expect(error?.message.unicodeScalars.contains { $0.value < 0x20 } == false)
  }

  @Test("a slash that is joined to a combining mark is still a slash")
  func combining() throws {
    #expect(try base.appending("a/\u{301}b").parts == ["a", "\u{301}b"])
    #expect(throws: DestinationError.self) { try base.appending("/\u{301}b") }
    #expect(throws: DestinationError.self) { try RemotePath(.root, parts: ["a/\u{301}b"]) }
  }

  @Test("a path of more than 4095 bytes is refused")
  func tooLong() {
    let key = Array(repeating: String(repeating: "x", count: 200), count: 21).joined(separator: "/")
    #expect(throws: DestinationError.self) { try base.appending(key) }
  }

  @Test("the .part name fits, and differs where the names differ")
  func part() throws {
    #expect(try base.appending("a/b.csv").part.text == "/a/b.csv.part")
    let long = String(repeating: "é", count: 127)
    let first = try base.appending(long + "a").part, second = try base.appending(long + "b").part
    #expect(first != second)
    #expect(first.parts[0].utf8.count <= 255)
    #expect(first.parts[0].hasSuffix(".part"))
    #expect(try base.appending(long + "a").part == first)
  }
}
