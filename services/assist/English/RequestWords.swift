// The parts of a delivery request in words that several themes share: environment, priority, selection, destination.
// A destination's URL loses its password here, should anyone have put one in.
import FerryAPI

enum RequestWords {
  /// Nil where the request does not say.
  static func environment(_ value: Environment) -> String? {
    switch value {
    case .dev: "DEV"
    case .uat: "UAT"
    case .prod: "PROD"
    default: nil
    }
  }

  /// An unspecified priority is taken as normal, as common.proto says.
  static func onConflict(_ value: OnConflict) -> String {
    switch value {
    case .fail: "fail"
    case .skipIfEqual: "skip if equal"
    case .keepBoth: "keep both"
    default: "overwrite"
    }
  }

  static func compression(_ options: DeliveryOptions) -> String {
    let format =
      switch options.compression {
      case .gzip: "gzip"
      case .zstd: "zstd"
      case .automatic: "gzip where it pays"
      default: "none"
      }
    return options.compressionLevel > 0 ? "\(format), level \(options.compressionLevel)" : format
  }

  static func priority(_ value: Priority) -> String {
    switch value {
    case .low: "low"
    case .high: "high"
    case .critical: "critical"
    default: "normal"
    }
  }

  static func selection(_ selection: Selection) -> String {
    let value = OneLine.text(selection.value)
    return switch selection.kind {
    case .key: "the file \(value)"
    case .prefix: value.isEmpty ? "everything in the bucket" : "everything under \(value)"
    default:
      value.isEmpty
        ? "everything in the bucket" : "\(value) (the file of that name if there is one, else all under it)"
    }
  }

  /// "Ada Lovelace", else the address, else the id; nil for nobody.
  static func name(_ person: Person?) -> String? {
    guard let person else { return nil }
    let name = [person.name, person.email, person.id].first { !$0.isEmpty }
    return name.map { OneLine.text($0) }
  }
}

/// Where a delivery goes, as far as the request says.
struct DestinationWords {
  /// "sftp://user@host:22/dir", or "the saved destination acme-partner"; empty where the request names none.
  let full: String
  /// "sftp.partner.example", or "acme-partner".
  let short: String

  init(_ request: DeliveryRequest) {
    let url = Self.withoutPassword(OneLine.text(request.destination?.url ?? ""))
    let name = OneLine.text(request.destination?.name ?? "")
    let path = OneLine.text(request.path)
    let address = url + (path.isEmpty || url.isEmpty ? "" : ", path \(path)")
    if name.isEmpty {
      full = address
    } else if url.isEmpty {
      full = "the saved destination \(name)" + (path.isEmpty ? "" : ", path \(path)")
    } else {
      full = "the saved destination \(name) at \(address)"
    }
    short = name.isEmpty ? Self.host(of: url) : name
  }

  /// For a delivery's own `destination`, a URL.
  init(url: String) {
    full = Self.withoutPassword(OneLine.text(url))
    short = Self.host(of: full)
  }

  /// The authority of a URL and what stands before and after it (RFC 3986 section 3).
  private static func parts(of url: String) -> (scheme: Substring, authority: Substring, rest: Substring)? {
    guard let separator = url.firstRange(of: "://") else { return nil }
    let authority = url[separator.upperBound...].prefix { !"/?#".contains($0) }
    return (url[..<separator.upperBound], authority, url[authority.endIndex...])
  }

  private static func withoutPassword(_ url: String) -> String {
    guard let (scheme, authority, rest) = parts(of: url), let at = authority.lastIndex(of: "@") else { return url }
    let user = authority[..<at].prefix { $0 != ":" }
    return String(scheme + user + authority[at...] + rest)
  }

  private static func host(of url: String) -> String {
    guard let (_, authority, _) = parts(of: url) else { return url }
    let address = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority
    if address.first == "[", let end = address.firstIndex(of: "]") { return String(address[...end]) }
    return String(address.prefix { $0 != ":" })
  }
}
