// What every service is started with. Each option has an environment variable of its name: FERRY_PORT for --port.
import ArgumentParser
import Logging

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

public struct ServiceOptions: ParsableArguments, Sendable {
  @Option(help: "Address to listen on. [environment: FERRY_HOST]")
  public var host: String = Self.environment("HOST") ?? "127.0.0.1"

  @Option(
    help: "Port to listen on; 0 takes a free one, see the log. [environment: FERRY_PORT; default: the service's]")
  public var port: UInt16?

  @Option(
    help: """
      Folder for this service's data; made if missing, for its owner alone. [environment: FERRY_DATA; default: \
      ferry-data/NAME]
      """)
  public var data: String?

  @Option(help: "Least level of what is logged: \(Self.levels). [environment: FERRY_LOG_LEVEL]")
  public var logLevel: Logger.Level = Self.environment("LOG_LEVEL").flatMap(Logger.Level.init(rawValue:)) ?? .info

  @Option(help: "File with the secret that this service shows to auth. [environment: FERRY_SERVICE_SECRET_FILE]")
  public var serviceSecretFile: String = Self.environment("SERVICE_SECRET_FILE") ?? ""

  public init() {}

  private static let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")

  /// The value of FERRY_NAME; nil if unset or empty.
  static func environment(_ name: String) -> String? {
    guard let value = getenv("FERRY_" + name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  public func validate() throws {
    if let text = Self.environment("LOG_LEVEL"), Logger.Level(rawValue: text) == nil {
      throw ValidationError("FERRY_LOG_LEVEL is '\(text)'. Set it to one of \(Self.levels).")
    }
    if port == nil, let text = Self.environment("PORT"), UInt16(text) == nil {
      throw ValidationError("FERRY_PORT is '\(text)'. Set it to a number from 0 to 65535.")
    }
  }

  /// The port to listen on for a service of this name.
  public func port(for service: String) -> Int {
    let chosen = port ?? Self.environment("PORT").flatMap { UInt16($0) }
    return chosen.map { Int($0) } ?? ServicePorts.defaults[service] ?? 0
  }

  /// The data folder of a service of this name, made if it was not there.
  public func dataFolder(for service: String) throws(ServiceFailure) -> String {
    let path = data ?? Self.environment("DATA") ?? "ferry-data/\(service)"
    try PrivateFile.makeFolder(path)
    return path
  }
}

/// Where the other services are. A service uses those that it calls.
public struct PeerOptions: ParsableArguments, Sendable {
  @Option(help: "Address of auth. [environment: FERRY_AUTH]")
  public var auth: PeerAddress = .of("auth")

  @Option(help: "Address of ticketing. [environment: FERRY_TICKETING]")
  public var ticketing: PeerAddress = .of("ticketing")

  @Option(help: "Address of storage-broker. [environment: FERRY_STORAGE_BROKER]")
  public var storageBroker: PeerAddress = .of("storage-broker")

  @Option(help: "Address of transfer. [environment: FERRY_TRANSFER]")
  public var transfer: PeerAddress = .of("transfer")

  @Option(help: "Address of notification. [environment: FERRY_NOTIFICATION]")
  public var notification: PeerAddress = .of("notification")

  @Option(help: "Address of assist. [environment: FERRY_ASSIST]")
  public var assist: PeerAddress = .of("assist")

  public init() {}

  public func validate() throws {
    for service in ServicePorts.defaults.keys.sorted() {
      let variable = PeerAddress.variable(service)
      if let text = ServiceOptions.environment(variable), PeerAddress(argument: text) == nil {
        throw ValidationError("FERRY_\(variable) is '\(text)'. Set it to an address like 127.0.0.1:7101.")
      }
    }
  }

  /// Nil if no service has this name.
  public func address(of service: String) -> PeerAddress? {
    switch service {
    case "auth": auth
    case "ticketing": ticketing
    case "storage-broker": storageBroker
    case "transfer": transfer
    case "notification": notification
    case "assist": assist
    default: nil
    }
  }
}

/// "127.0.0.1:7101" or "[::1]:7101"
public struct PeerAddress: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
  public var host: String
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  public init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...]),
      port > 0
    else { return nil }
    var host = argument[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else { return nil }
    self.init(host: String(host), port: Int(port))
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  public var defaultValueDescription: String { description }

  /// From the environment, else this machine and the service's own port.
  static func of(_ service: String) -> PeerAddress {
    // One that cannot be read is told by PeerOptions.validate.
    ServiceOptions.environment(variable(service)).flatMap(PeerAddress.init(argument:))
      ?? PeerAddress(host: "127.0.0.1", port: ServicePorts.defaults[service] ?? 0)
  }

  /// "STORAGE_BROKER" for "storage-broker".
  static func variable(_ service: String) -> String {
    service.uppercased().split(separator: "-").joined(separator: "_")
  }
}

/// The gRPC ports that services listen on unless told otherwise.
public enum ServicePorts {
  public static let defaults: [String: Int] = [
    "gateway": 7100, "auth": 7101, "ticketing": 7102, "storage-broker": 7103, "transfer": 7104, "notification": 7105,
    "assist": 7106,
  ]
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
