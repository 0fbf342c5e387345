// A path on a destination that can't leave the folder it was joined to. It knows no server; bytes are UTF-8.
import Crypto

/// Parts below the root or below the login's home. Every part is a plain name: never empty, ".", "..", longer than 255
/// bytes, or with "/", NUL or another control character in it.
public struct RemotePath: Sendable, Hashable, CustomStringConvertible {
  public enum Base: Sendable, Hashable {
    case root
    /// The folder that the login begins in.
    case home
  }

  /// NAME_MAX of the file systems in use.
  public static let maxNameBytes = 255
  /// PATH_MAX of the servers in use.
  public static let maxPathBytes = 4095
  public static let partSuffix = ".part"
  public static let sidecarSuffix = ".sha256"
  static let replacedSuffix = ".ferry-replaced"

  public let base: Base
  public let parts: [String]

  /// The base itself.
  public init(_ base: Base) {
    self.base = base
    parts = []
  }

  public init(_ base: Base, parts: [String]) throws(DestinationError) {
    for part in parts { try Self.check(part, in: parts.joined(separator: "/")) }
    self.init(unchecked: base, parts)
    guard text.utf8.count <= Self.maxPathBytes else {
      throw Self.invalid("is \(text.utf8.count) bytes long, and \(Self.maxPathBytes) is the most", "\(parts[0])/…")
    }
  }

  private init(unchecked base: Base, _ parts: [String]) {
    self.base = base
    self.parts = parts
  }

  /// Joins a relative path such as an object's key ("2024/05/report.csv").
  public func appending(_ relative: String) throws(DestinationError) -> RemotePath {
    if relative.isEmpty { throw Self.invalid("is empty", relative) }
    if relative.unicodeScalars.first == "/" { throw Self.invalid("begins with a slash", relative) }
    let added = relative.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
    return try RemotePath(base, parts: parts + added)
  }

  private static func check(_ part: String, in whole: String) throws(DestinationError) {
    if part.isEmpty { throw invalid("has an empty part", whole) }
    if part == "." || part == ".." { throw invalid("has the part \"\(part)\"", whole) }
    if part.unicodeScalars.contains("/") { throw invalid("has a slash inside a name", whole) }
    if part.unicodeScalars.contains(where: isControl) {
      throw invalid("has a control character", whole)
    }
    if part.utf8.count > maxNameBytes {
      throw invalid("has a name of \(part.utf8.count) bytes, and \(maxNameBytes) is the most", whole)
    }
  }

  private static func invalid(_ why: String, _ path: String) -> DestinationError {
    let longestShown = 200
    let shown = path.unicodeScalars.prefix(longestShown).map { isControl($0) ? "\u{FFFD}" : String($0) }.joined()
    return DestinationError(
      .invalidPath, "The path \"\(shown)\" \(why).",
      nextStep: "Rename the file, or give it another path at the destination.")
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }

  /// As the server is told it: "/in/a.csv", "in/a.csv" below the home, "." for the home itself.
  public var text: String {
    switch base {
    case .root: "/" + parts.joined(separator: "/")
    case .home: parts.isEmpty ? "." : parts.joined(separator: "/")
    }
  }

  public var description: String { base == .home ? (parts.isEmpty ? "~" : "~/" + text) : text }

  /// Nil for the base itself.
  public var name: String? { parts.last }

  /// The base is its own parent.
  public var parent: RemotePath { RemotePath(unchecked: base, Array(parts.dropLast())) }

  /// The name that the file has until every byte of it is proven.
  public var part: RemotePath { sibling(Self.partSuffix) }

  /// Beside the file, its SHA-256 as sha256sum writes it.
  public var sidecar: RemotePath { sibling(Self.sidecarSuffix) }

  /// "report (1).csv" for "report.csv", "report (1).csv.gz" for "report.csv.gz"; a name that is numbered already counts on.
  public func numbered(_ number: Int) -> RemotePath {
    guard let name else { return self }
    var (stem, ending) = Self.split(name)
    if Self.packedEndings.contains(ending) {
      let packed = ending
      (stem, ending) = Self.split(stem)
      ending += packed
    }
    var number = number
    if let match = stem.wholeMatch(of: #/(.+) \((\d{1,9})\)/#), let before = Int(match.2) {
      (stem, number) = (String(match.1), before + number)
    }
    ending = " (\(number))" + ending
    while !stem.isEmpty, stem.utf8.count + ending.utf8.count > Self.maxNameBytes { stem.unicodeScalars.removeLast() }
    return RemotePath(unchecked: base, parts.dropLast() + [stem + ending])
  }

  /// Endings that say how a file is packed, behind the one that says what it is.
  private static let packedEndings: Set = [".gz", ".zst", ".bz2", ".xz"]

  /// What a name is, and its ending with the dot.
  private static func split(_ name: String) -> (stem: String, ending: String) {
    let dot = name.unicodeScalars.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    return (String(name[..<dot]), String(name[dot...]))
  }

  /// With `suffix` after the name: "report.csv.gz".
  public func suffixed(_ suffix: String) throws(DestinationError) -> RemotePath {
    try RemotePath(base, parts: parts.dropLast() + [(name ?? "") + suffix])
  }

  /// The name that a file has while it is being replaced on a server that can't do it in one step.
  var replaced: RemotePath { sibling(Self.replacedSuffix) }

  /// The name with `suffix`; one that grows too long is cut and told apart by a hash of the whole.
  private func sibling(_ suffix: String) -> RemotePath {
    guard let name else { return self }
    var cut = name + suffix
    if cut.utf8.count > Self.maxNameBytes {
      let hashBytes = 8
      let tail = "~" + SHA256.hash(data: Array(name.utf8)).prefix(hashBytes).hexadecimal + suffix
      var kept = name
      while kept.utf8.count + tail.utf8.count > Self.maxNameBytes { kept.unicodeScalars.removeLast() }
      cut = kept + tail
    }
    return RemotePath(unchecked: base, parts.dropLast() + [cut])
  }
}

extension Sequence<UInt8> {
  var hexadecimal: String {
    reduce(into: "") { text, byte in
      if byte < 16 { text += "0" }
      text += String(byte, radix: 16)
    }
  }
}
