// Patterns over keys: what they match, what they refuse, and that they agree with a slow matcher that is plainly right.
import Testing

@testable import TransferService

@Suite struct GlobTests {
  @Test("patterns match", arguments: [
    ("in/*.csv", "in/a.csv"), ("in/*.csv", "in/.csv"), ("in/?.csv", "in/ä.csv"), ("**/*.csv", "a.csv"),
    ("**/*.csv", "x/y/a.csv"), ("in/**/b", "in/b"), ("in/**/b", "in/x/y/b"), ("in/**", "in/x/y"), ("[a-c]1", "b1"),
    ("[!a-c]1", "d1"), ("[]]", "]"), ("{a,b{1,2}}.x", "b2.x"), (#"\*"#, "*"), ("a{,b}", "a"), ("[{]", "{"),
    ("**", "x/y"), ("a**b", "a/x/b"), ("{in,out}/*", "out/x"),
  ])
  func matching(_ pattern: String, _ key: String) throws {
    #expect(try Glob(pattern).matches(key))
  }

  @Test("patterns don't match", arguments: [
    ("in/*.csv", "in/x/a.csv"), ("in/?.csv", "in/.csv"), ("a?b", "a/b"), ("a*b", "a/b"), ("[!x]", "/"), ("*.csv", "a.CSV"),
    ("in/**/b", "in/xb"), ("in/**/b", "inb"), ("[a-c]1", "d1"), (#"\*"#, "x"), ("{a,b}", "ab"), ("a", "ab"), ("ab", "a"),
  ])
  func notMatching(_ pattern: String, _ key: String) throws {
    #expect(try !Glob(pattern).matches(key))
  }

  @Test("what can't be read is refused with the reason", arguments: [
    ("", "empty"), ("[a", "']'"), ("a{b", "'}'"), (#"a\"#, #"'\'"#), ("[z-a]", "range"),
    (String(repeating: "a", count: 1025), "bytes"), ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "64"),
  ])
  func malformed(_ pattern: String, _ reason: String) {
    let error = #expect(throws: Glob.Malformed.self) { try Glob(pattern) }
    #expect(error?.reason.contains(reason) == true)
  }

  @Test("listing begins where the pattern begins to be one", arguments: [
    ("in/2024/*.csv", "in/2024/"), ("in/a{b,c}d", "in/a"), ("*", ""), ("in/a", "in/a"), (#"in/\*/?"#, "in/*/"),
    ("{in/a,in/b}/*", "in/"),
  ])
  func prefixes(_ pattern: String, _ prefix: String) throws {
    #expect(try Glob(pattern).literalPrefix == prefix)
  }

  @Test("an exclude without a slash means a file's own name, one with a slash the whole key")
  func excludes() throws {
    #expect(try Glob("*.tmp").excludes("x/y/a.tmp"))
    #expect(try !Glob("x/*.tmp").excludes("x/y/a.tmp"))
    #expect(try Glob("x/**/*.tmp").excludes("x/y/a.tmp"))
  }

  @Test("many stars cost no more than few")
  func linear() throws {
    let glob = try Glob(String(repeating: "*a", count: 200) + "b")
    #expect(!glob.matches(String(repeating: "a", count: 1000)))
  }

  /// Tries every way, one after the other.
  private static func slowly(_ pattern: Substring, _ key: Substring) -> Bool {
    guard let first = pattern.first else { return key.isEmpty }
    let rest = pattern.dropFirst()
    switch first {
    case "?": return key.first.map { $0 != "/" } == true && slowly(rest, key.dropFirst())
    case "*":
      var ends = [key.startIndex]
      for index in key.indices {
        if key[index] == "/" { break }
        ends.append(key.index(after: index))
      }
      return ends.contains { slowly(rest, key[$0...]) }
    case "D":  // stands for "**/"
      var ends = [key.startIndex]
      for index in key.indices where key[index] == "/" { ends.append(key.index(after: index)) }
      return ends.contains { slowly(rest, key[$0...]) }
    default: return key.first == first && slowly(rest, key.dropFirst())
    }
  }

  @Test("it agrees with a matcher that tries every way")
  func againstReference() throws {
    var random = SeededRandom(seed: 20_261_126)
    var matched = 0
    for _ in 0..<20_000 {
      let pieces = (0..<Int.random(in: 1...6, using: &random)).map { _ in "ab*?/".randomElement(using: &random) ?? "a" }
      var plain = String(pieces)
      while plain.contains("**") { plain.replace("**", with: "*") }  // "**" inside a name is another thing
      let deep = Bool.random(using: &random)
      let key = String((0..<Int.random(in: 0...7, using: &random)).map { _ in "ab/".randomElement(using: &random) ?? "a" })
      let (pattern, reference) = deep ? ("**/" + plain, "D" + plain) : (plain, plain)
      let expected = Self.slowly(reference[...], key[...])
      #expect(try Glob(pattern).matches(key) == expected, "\(pattern) on \(key)")
      if expected { matched += 1 }
    }
    #expect(matched > 500)
  }
}

/// SplitMix64: the same numbers in every run.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
