// Names of enumeration values as people type and read them: "uat" for ENVIRONMENT_UAT.
import ArgumentParser
import ProtoWire

extension ProtoEnum {
  func stripped(_ prefix: String) -> String {
    guard let name = Self.descriptor.name(of: rawValue) else { return "\(rawValue)" }
    let short = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    return short.lowercased().split(separator: "_").joined(separator: " ")
  }

  /// The value that a person typed, in any case, with "-" or "_" or nothing between words.
  static func parse(_ text: String, prefix: String) throws -> Self {
    let wanted = prefix + text.uppercased().split(separator: "-").joined(separator: "_")
    if let number = descriptor.number(of: wanted), number != 0 { return Self(rawValue: number) }
    let known = descriptor.values.filter { $0.number != 0 }.map { value in
      value.name.dropFirst(prefix.count).lowercased().split(separator: "_").joined(separator: "-")
    }
    throw ValidationError("'\(text)' is none of \(known.joined(separator: ", ")).")
  }
}
