// Names that FileFerry makes beside a file's own: numbered ones, and those that would grow too long.
import Testing

@testable import Destinations

@Suite struct RemotePathTests {
  @Test("a numbered name keeps its ending, and counts on where it is numbered already", arguments: [
    ("in/report.csv", 1, "in/report (1).csv"), ("in/report", 2, "in/report (2)"), ("report (3).csv", 1, "report (4).csv"),
    (".profile", 1, ".profile (1)"), ("a.tar.gz", 1, "a (1).tar.gz"), ("(1).csv", 1, "(1) (1).csv"),
  ])
  func numbered(_ path: String, _ number: Int, _ expected: String) throws {
    #expect(try RemotePath(.home).appending(path).numbered(number).text == expected)
  }

  @Test("a name that would be too long is cut, and still ends as it did")
  func long() throws {
    let name = String(repeating: "ä", count: 125) + ".csv"
    let numbered = try RemotePath(.root).appending(name).numbered(12)
    #expect(try #require(numbered.name).utf8.count <= RemotePath.maxNameBytes)
    #expect(numbered.text.hasSuffix("ä (12).csv"))
    let sidecar = try RemotePath(.root).appending(String(repeating: "n", count: 254)).sidecar
    #expect(try #require(sidecar.name).utf8.count <= RemotePath.maxNameBytes && sidecar.text.hasSuffix(".sha256"))
  }
}
