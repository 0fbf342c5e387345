// Patterns over keys: "in/**/*.csv". Time to match is the key's length times the pattern's, whatever the pattern: all ways
// to read it are followed side by side, none is tried and taken back.

/// `*` and `?` stay within a folder's name, `**` crosses folders ("a/**/b" holds "a/b" too), `[a-z]` and `[!a-z]` are one
/// character, `{a,b}` is one of these, `\` takes the next character as it is.
struct Glob: Sendable {
  static let maxBytes = 1024
  /// What braces may come to.
  static let maxAlternatives = 64

  struct Malformed: Error {
    /// "has no ']' to its '['"
    var reason: String
  }

  private enum Token: Sendable, Equatable {
    case character(Unicode.Scalar)
    case one
    case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    case name
    case path
    /// The two halves of "**/": between folders, and inside one that it leaves out.
    case folders, folder
  }

  private let alternatives: [[Token]]
  /// All keys that match begin with it.
  let literalPrefix: String
  /// Without one, an exclude means a file's own name in any folder.
  let hasSlash: Bool

  init(_ pattern: String) throws(Malformed) {
    guard !pattern.isEmpty else { throw Malformed(reason: "is empty") }
    guard pattern.utf8.count <= Self.maxBytes else { throw Malformed(reason: "is over \(Self.maxBytes) bytes") }
    alternatives = try Self.expand(Array(pattern.unicodeScalars)).map { (text) throws(Malformed) in try Self.parse(text) }
    hasSlash = pattern.unicodeScalars.contains("/")
    let prefixes = alternatives.map(Self.literals)
    var common = prefixes[0]
    for prefix in prefixes { common = Array(zip(common, prefix).prefix { $0 == $1 }.map(\.0)) }
    literalPrefix = String(String.UnicodeScalarView(common))
  }

  func matches(_ key: some StringProtocol) -> Bool {
    alternatives.contains { Self.matches(key.unicodeScalars, $0) }
  }

  /// As an exclude does: a pattern without a slash is compared with the file's own name.
  func excludes(_ key: String) -> Bool {
    if hasSlash { return matches(key) }
    let slash = key.utf8.lastIndex(of: UInt8(ascii: "/"))
    return matches(slash.map { key[key.utf8.index(after: $0)...] } ?? key[...])
  }

  // MARK: Matching

  private static func matches(_ key: some Sequence<Unicode.Scalar>, _ tokens: [Token]) -> Bool {
    var here = [Bool](repeating: false, count: tokens.count + 1)
    reach(0, tokens, &here)
    for character in key {
      var next = [Bool](repeating: false, count: tokens.count + 1)
      var isAlive = false
      for (index, token) in tokens.enumerated() where here[index] {
        guard let target = step(token, at: index, character) else { continue }
        reach(target, tokens, &next)
        isAlive = true
      }
      guard isAlive else { return false }
      here = next
    }
    return here[tokens.count]
  }

  /// Marks a place in the pattern, and those that need no character to get to from there.
  private static func reach(_ index: Int, _ tokens: [Token], _ marks: inout [Bool]) {
    var index = index
    while !marks[index] {
      marks[index] = true
      guard index < tokens.count else { return }
      switch tokens[index] {
      case .name, .path: index += 1
      case .folders: index += 2
      default: return
      }
    }
  }

  /// Where the character leads to; nil: nowhere.
  private static func step(_ token: Token, at index: Int, _ character: Unicode.Scalar) -> Int? {
    let isSlash = character == "/"
    switch token {
    case .character(let wanted): return wanted == character ? index + 1 : nil
    case .one: return isSlash ? nil : index + 1
    case .set(let ranges, let isNegated):
      return !isSlash && ranges.contains { $0.contains(character) } != isNegated ? index + 1 : nil
    case .name: return isSlash ? nil : index
    case .path: return index
    case .folders: return isSlash ? index : index + 1
    case .folder: return isSlash ? index - 1 : index
    }
  }

  // MARK: Parsing

  private static func parse(_ text: [Unicode.Scalar]) throws(Malformed) -> [Token] {
    var tokens: [Token] = []
    var index = 0
    while index < text.count {
      let beginsName = index == 0 || text[index - 1] == "/"
      switch text[index] {
      case "\\":
        index += 1
        guard index < text.count else { throw Malformed(reason: "ends in a '\\'") }
        tokens.append(.character(text[index]))
      case "?": tokens.append(.one)
      case "*":
        guard index + 1 < text.count, text[index + 1] == "*" else {
          tokens.append(.name)
          break
        }
        while index + 1 < text.count, text[index + 1] == "*" { index += 1 }
        if beginsName, index + 1 < text.count, text[index + 1] == "/" {
          index += 1
          tokens += [.folders, .folder]
        } else {
          tokens.append(.path)
        }
      case "[": tokens.append(try set(text, &index))
      default: tokens.append(.character(text[index]))
      }
      index += 1
    }
    return tokens
  }

  /// From '[' to its ']', at which `index` is left. A ']' right after the beginning is one of the characters.
  private static func set(_ text: [Unicode.Scalar], _ index: inout Int) throws(Malformed) -> Token {
    var at = index + 1
    let isNegated = at < text.count && (text[at] == "!" || text[at] == "^")
    if isNegated { at += 1 }
    let first = at
    var ranges: [ClosedRange<Unicode.Scalar>] = []
    while at < text.count, text[at] != "]" || at == first {
      let low = text[at]
      if at + 2 < text.count, text[at + 1] == "-", text[at + 2] != "]" {
        guard low <= text[at + 2] else { throw Malformed(reason: "has a range that ends before it begins") }
        ranges.append(low...text[at + 2])
        at += 3
      } else {
        ranges.append(low...low)
        at += 1
      }
    }
    guard at < text.count else { throw Malformed(reason: "has no ']' to its '['") }
    index = at
    return .set(ranges, isNegated: isNegated)
  }

  private static func literals(_ tokens: [Token]) -> [Unicode.Scalar] {
    var text: [Unicode.Scalar] = []
    for case .character(let character) in tokens.prefix(while: { if case .character = $0 { true } else { false } }) {
      text.append(character)
    }
    return text
  }

  /// "a{b,c}" as "ab" and "ac"; braces may lie in braces. Those inside '[...]' and behind a '\' are characters.
  private static func expand(_ text: [Unicode.Scalar]) throws(Malformed) -> [[Unicode.Scalar]] {
    var done: [[Unicode.Scalar]] = []
    var open = [text]
    while let next = open.popLast() {
      guard let (before, choices, after) = try braces(in: next) else {
        done.append(next)
        guard done.count <= maxAlternatives else { throw tooMany }
        continue
      }
      for choice in choices.reversed() { open.append(before + choice + after) }
      guard done.count + open.count <= maxAlternatives else { throw tooMany }
    }
    return done
  }

  private static let tooMany = Malformed(reason: "has braces that come to over \(maxAlternatives) patterns")

  /// The first pair of braces.
  private static func braces(
    in text: [Unicode.Scalar]
  ) throws(Malformed) -> ([Unicode.Scalar], [[Unicode.Scalar]], [Unicode.Scalar])? {
    var (depth, begin, choices, choice) = (0, 0, [[Unicode.Scalar]](), [Unicode.Scalar]())
    var index = 0
    while index < text.count {
      var piece = [text[index]]
      switch text[index] {
      case "\\" where index + 1 < text.count: piece.append(text[index + 1])
      case "[":
        var end = index
        _ = try set(text, &end)
        piece = Array(text[index...end])
      case "{":
        depth += 1
        if depth == 1 { (begin, piece) = (index, []) }
      case "}" where depth == 1:
        return (Array(text[..<begin]), choices + [choice], Array(text[(index + 1)...]))
      case "}" where depth > 1: depth -= 1
      case "," where depth == 1:
        choices.append(choice)
        (choice, piece) = ([], [])
        index += 1
        continue
      default: break
      }
      if depth > 0 { choice += piece }
      index += max(piece.count, 1)
    }
    if depth > 0 { throw Malformed(reason: "has no '}' to its '{'") }
    return nil
  }
}
