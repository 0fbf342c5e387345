// Names at the destination by the requester's own rule: replacements, letter case, a template. What comes out is checked like
// any other name.
import FerryAPI

struct NameMapper: Sendable {
  static let maxReplacements = 20
  /// Bytes, of a text to find or to put in its place.
  static let maxTextBytes = 255
  static let maxTemplateBytes = 1024

  /// Why a mapping can't be used: "has no '}' to its '{'".
  struct Malformed: Error {
    var reason: String
  }

  /// What a template may tell of the delivery.
  struct Delivery: Sendable {
    var ticket: String
    var group: String
    var environment: FerryAPI.Environment
    /// Of the planning.
    var time: Timestamp
  }

  private enum Field: String, CaseIterable {
    case path, folder, name, stem, ext, index, date, time, ticket, group, environment
  }

  private enum Piece {
    case text(String)
    case field(Field)
  }

  private let replacements: [(find: [UInt8], replace: [UInt8])]
  private let letterCase: LetterCase
  private let template: [Piece]
  private let delivery: Delivery
  /// RFC 3339.
  private let stamp: String

  init(_ mapping: NameMapping, _ delivery: Delivery) throws(Malformed) {
    guard mapping.replacements.count <= Self.maxReplacements else {
      throw Malformed(reason: "has \(mapping.replacements.count) replacements, and \(Self.maxReplacements) are the most")
    }
    for one in mapping.replacements {
      if one.find.isEmpty { throw Malformed(reason: "replaces an empty text") }
      guard one.find.utf8.count <= Self.maxTextBytes, one.replace.utf8.count <= Self.maxTextBytes else {
        throw Malformed(reason: "has a replacement of over \(Self.maxTextBytes) bytes")
      }
    }
    guard [.unspecified, .lower, .upper].contains(mapping.letterCase) else {
      throw Malformed(reason: "has a letter case that is not known")
    }
    guard mapping.template.utf8.count <= Self.maxTemplateBytes else {
      throw Malformed(reason: "has a template of over \(Self.maxTemplateBytes) bytes")
    }
    replacements = mapping.replacements.map { (Array($0.find.utf8), Array($0.replace.utf8)) }
    letterCase = mapping.letterCase
    template = try Self.parse(mapping.template)
    self.delivery = delivery
    var stamp: [UInt8] = []
    delivery.time.appendRFC3339(to: &stamp)
    self.stamp = String(decoding: stamp, as: UTF8.self)
  }

  /// - Parameters:
  ///   - path: as it would be without a mapping, below the destination's folder.
  ///   - index: 1 for the first file of the delivery.
  func map(_ path: String, index: Int64) -> String {
    var bytes = Array(path.utf8)
    for (find, replace) in replacements { bytes = bytes.replacing(find, with: replace) }
    var path = String(decoding: bytes, as: UTF8.self)
    if letterCase == .lower { path = path.lowercased() }
    if letterCase == .upper { path = path.uppercased() }
    if template.isEmpty { return path }

    let parts = Parts(path)
    var text = ""
    for piece in template {
      switch piece {
      case .text(let literal): text += literal
      // "report" has no dot to go with an ending that it doesn't have.
      case .field(.ext) where parts.ext.isEmpty && text.utf8.last == UInt8(ascii: "."): text.removeLast()
      case .field(let field): text += value(field, parts, index)
      }
    }
    // A folder that is empty leaves no slash behind.
    return text.split(separator: "/").joined(separator: "/")
  }

  private func value(_ field: Field, _ parts: Parts, _ index: Int64) -> String {
    switch field {
    case .path: parts.path
    case .folder: parts.folder
    case .name: parts.name
    case .stem: parts.stem
    case .ext: parts.ext
    case .index: String(index)
    case .date: String(stamp.prefix(10))
    case .time: String(stamp.dropFirst(11).prefix(8).filter { $0 != ":" })
    case .ticket: Self.plain(delivery.ticket)
    case .group: Self.plain(delivery.group)
    case .environment:
      (FerryAPI.Environment.descriptor.name(of: delivery.environment.rawValue) ?? "").split(separator: "_").last
        .map { $0.lowercased() } ?? ""
    }
  }

  /// What people typed makes no folders.
  private static func plain(_ text: String) -> String { String(text.map { $0 == "/" ? "-" : $0 }) }

  private struct Parts {
    let path: String
    /// Without a slash at its end.
    let folder: String
    let name: String
    let stem: String
    /// Without its dot.
    let ext: String

    init(_ path: String) {
      self.path = path
      let parts = path.split(separator: "/", omittingEmptySubsequences: false)
      name = parts.last.map(String.init) ?? ""
      folder = parts.dropLast().joined(separator: "/")
      if let dot = name.lastIndex(of: "."), dot != name.startIndex {
        (stem, ext) = (String(name[..<dot]), String(name[name.index(after: dot)...]))
      } else {
        (stem, ext) = (name, "")
      }
    }
  }

  /// "{field}", and "{{" or "}}" for a brace.
  private static func parse(_ template: String) throws(Malformed) -> [Piece] {
    var pieces: [Piece] = []
    var literal = ""
    var rest = Substring(template)
    while let character = rest.popFirst() {
      if (character == "{" || character == "}"), rest.first == character {
        literal.append(character)
        rest.removeFirst()
      } else if character == "{" {
        guard let end = rest.firstIndex(of: "}") else { throw Malformed(reason: "has no '}' to its '{'") }
        guard let field = Field(rawValue: String(rest[..<end])) else {
          let known = Field.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
          throw Malformed(reason: "has the field {\(rest[..<end].prefix(40))}, which is none of \(known)")
        }
        if !literal.isEmpty { pieces.append(.text(literal)) }
        literal = ""
        pieces.append(.field(field))
        rest = rest[rest.index(after: end)...]
      } else if character == "}" {
        throw Malformed(reason: "has a '}' without its '{'")
      } else {
        literal.append(character)
      }
    }
    if !literal.isEmpty { pieces.append(.text(literal)) }
    return pieces
  }
}
