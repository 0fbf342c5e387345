// A small strict XML reader for the answers of AWS's and Azure's XML services: elements, attributes, text, the five
// named entities, numbers, CDATA. No DTD (so no entity tricks), no namespaces (S3 uses one default only); all of it
// bounded.

public struct XMLElement: Sendable, Equatable {
  public internal(set) var name: String
  public internal(set) var attributes: [String: String]
  /// Character data directly inside, joined.
  public internal(set) var text: String
  public internal(set) var children: [XMLElement]

  public subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

  public func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
}

public struct XMLError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  public let byteOffset: Int
  public var description: String { "The XML is broken at byte \(byteOffset): \(message)." }
}

extension XMLElement {
  public static let maxDepth = 32
  public static let maxBytes = 16 * 1024 * 1024
  public static let maxElements = 500_000

  /// The root element of a document in UTF-8.
  public init(parsing bytes: [UInt8]) throws(XMLError) {
    var reader = XMLReader(bytes: bytes)
    self = try reader.document()
  }

  init(named name: String) { (self.name, attributes, text, children) = (name, [:], "", []) }
}

private struct XMLReader {
  private let bytes: [UInt8]
  private var index = 0
  private var elements = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(XMLError) -> XMLElement {
    guard bytes.count <= XMLElement.maxBytes else { throw error("it is over \(XMLElement.maxBytes) bytes long") }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
    try skipMisc()
    let root = try element()
    try skipMisc()
    guard index == bytes.count else { throw error("something follows the root element") }
    return root
  }

  /// Without recursion: an answer must not choose how deep our stack gets.
  private mutating func element() throws(XMLError) -> XMLElement {
    var open: [(element: XMLElement, text: [UInt8])] = []
    while true {
      if skip("<!--") {
        try skipPast("-->")
      } else if skip("<![CDATA[") {
        guard !open.isEmpty else { throw error("text outside the root element") }
        let start = index
        try skipPast("]]>")
        open[open.count - 1].text += bytes[start..<index - 3]
      } else if skip("<?") {
        try skipPast("?>")
      } else if skip("</") {
        let name = try name()
        skipBlanks()
        guard skip(">"), var done = open.popLast(), done.element.name == name else {
          throw error("</\(name)> closes nothing that is open")
        }
        done.element.text = try validated(done.text)
        guard !open.isEmpty else { return done.element }
        open[open.count - 1].element.children.append(done.element)
      } else if skip("<") {
        let (element, isEmpty) = try startTag()
        if !isEmpty {
          guard open.count < XMLElement.maxDepth else { throw error("it is nested over \(XMLElement.maxDepth) deep") }
          open.append((element, []))
        } else if open.isEmpty {
          return element
        } else {
          open[open.count - 1].element.children.append(element)
        }
      } else {
        guard !open.isEmpty else { throw error("no root element") }
        try characters(into: &open[open.count - 1].text, until: UInt8(ascii: "<"))
      }
    }
  }

  private mutating func startTag() throws(XMLError) -> (XMLElement, isEmpty: Bool) {
    elements += 1
    guard elements <= XMLElement.maxElements else { throw error("it has over \(XMLElement.maxElements) elements") }
    var element = XMLElement(named: try name())
    while true {
      let hadBlank = skipBlanks()
      if skip("/>") { return (element, true) }
      if skip(">") { return (element, false) }
      guard hadBlank else { throw error("no blank before an attribute of <\(element.name)>") }
      let attribute = try name()
      skipBlanks()
      guard skip("=") else { throw error("an attribute of <\(element.name)> has no value") }
      skipBlanks()
      guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "'") else {
        throw error("an attribute of <\(element.name)> has no quotes")
      }
      let quote = bytes[index]
      index += 1
      var value: [UInt8] = []
      try characters(into: &value, until: quote)
      index += 1
      element.attributes[attribute] = try validated(value)
    }
  }

  /// Character data up to, not including, `end`.
  private mutating func characters(into text: inout [UInt8], until end: UInt8) throws(XMLError) {
    while index < bytes.count, bytes[index] != end {
      switch bytes[index] {
      case UInt8(ascii: "&"): text += try entity()
      case UInt8(ascii: "<"): throw error("a < inside an attribute")
      default:
        text.append(bytes[index])
        index += 1
      }
    }
    guard index < bytes.count else { throw error("it ends too early") }
  }

  private mutating func entity() throws(XMLError) -> [UInt8] {
    index += 1
    let rest = bytes[index..<min(index + 12, bytes.count)]
    guard let end = rest.firstIndex(of: UInt8(ascii: ";")) else { throw error("an & without its ;") }
    let name = String(decoding: bytes[index..<end], as: UTF8.self)
    index = end + 1
    switch name {
    case "amp": return [UInt8(ascii: "&")]
    case "lt": return [UInt8(ascii: "<")]
    case "gt": return [UInt8(ascii: ">")]
    case "quot": return [UInt8(ascii: "\"")]
    case "apos": return [UInt8(ascii: "'")]
    default: break
    }
    let number = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16)
      : name.hasPrefix("#") ? UInt32(name.dropFirst(1), radix: 10) : nil
    guard let number, number > 0, let scalar = Unicode.Scalar(number) else { throw error("&\(name); is unknown") }
    return Array(String(Character(scalar)).utf8)
  }

  private mutating func name() throws(XMLError) -> String {
    let start = index
    while index < bytes.count, Self.isNameByte(bytes[index]) { index += 1 }
    guard index > start else { throw error("a name is missing") }
    return try validated(Array(bytes[start..<index]))
  }

  private func validated(_ bytes: [UInt8]) throws(XMLError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw error("it is not UTF-8") }
    return text
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    byte.isASCIIAlphanumeric || "_:-.".utf8.contains(byte) || byte >= 0x80
  }

  private mutating func skipMisc() throws(XMLError) {
    while true {
      skipBlanks()
      if skip("<?") { try skipPast("?>") } else if skip("<!--") { try skipPast("-->") } else { break }
    }
    if bytes[index...].starts(with: "<!DOCTYPE".utf8) { throw error("a DTD is not taken") }
  }

  @discardableResult
  private mutating func skipBlanks() -> Bool {
    let start = index
    while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    return index > start
  }

  private mutating func skip(_ token: StaticString) -> Bool {
    let length = token.utf8CodeUnitCount
    guard index + length <= bytes.count else { return false }
    for offset in 0..<length where bytes[index + offset] != token.utf8Start[offset] { return false }
    index += length
    return true
  }

  private mutating func skipPast(_ token: StaticString) throws(XMLError) {
    while index < bytes.count {
      if skip(token) { return }
      index += 1
    }
    throw error("it ends too early")
  }

  private func error(_ message: String) -> XMLError { XMLError(message: message, byteOffset: index) }
}
