// gRPC's service config: what holds for calls of certain methods without the callers saying so ("Service Config", grpc/grpc
// doc/service_config.md; retries and hedging: gRFC A6).
import FoundationEssentials

public struct ServiceConfig: Sendable {
  public var loadBalancing: LoadBalancing?
  public var methods: [MethodConfig] = []
  public var retryThrottling: RetryThrottling?

  public init() {}

  public struct MethodConfig: Sendable {
    /// Each "package.Service/Method", "package.Service/" for all of a service, or "/" for everything.
    public var names: [String]
    public var timeout: Duration?
    public var waitForReady: Bool?
    public var retry: RetryPolicy?
    public var hedging: HedgingPolicy?

    public init(
      names: [String], timeout: Duration? = nil, waitForReady: Bool? = nil, retry: RetryPolicy? = nil,
      hedging: HedgingPolicy? = nil
    ) {
      self.names = names
      self.timeout = timeout
      self.waitForReady = waitForReady
      self.retry = retry
      self.hedging = hedging
    }
  }

  public struct RetryPolicy: Sendable {
    /// With the first; at most `ServiceConfig.maxAttempts`.
    public var maxAttempts: Int
    public var initialBackoff: Duration
    public var maxBackoff: Duration
    public var backoffMultiplier: Double
    public var retryableStatusCodes: Set<StatusCode>

    public init(
      maxAttempts: Int, initialBackoff: Duration = .milliseconds(100), maxBackoff: Duration = .seconds(5),
      backoffMultiplier: Double = 2, retryableStatusCodes: Set<StatusCode> = [.unavailable]
    ) {
      self.maxAttempts = maxAttempts
      self.initialBackoff = initialBackoff
      self.maxBackoff = maxBackoff
      self.backoffMultiplier = backoffMultiplier
      self.retryableStatusCodes = retryableStatusCodes
    }
  }

  public struct HedgingPolicy: Sendable {
    /// With the first; at most `ServiceConfig.maxAttempts`.
    public var maxAttempts: Int
    /// Between one attempt and the next while none has answered.
    public var hedgingDelay: Duration
    /// Errors after which the other attempts go on.
    public var nonFatalStatusCodes: Set<StatusCode>

    public init(maxAttempts: Int, hedgingDelay: Duration, nonFatalStatusCodes: Set<StatusCode> = []) {
      self.maxAttempts = maxAttempts
      self.hedgingDelay = hedgingDelay
      self.nonFatalStatusCodes = nonFatalStatusCodes
    }
  }

  /// Stops retries while more calls fail than `tokenRatio` of those that succeed.
  public struct RetryThrottling: Sendable {
    public var maxTokens: Double
    public var tokenRatio: Double

    public init(maxTokens: Double, tokenRatio: Double) {
      self.maxTokens = maxTokens
      self.tokenRatio = tokenRatio
    }
  }

  /// gRFC A6: more is treated as this.
  public static let maxAttempts = 5

  /// The config of a path "/package.Service/Method": that of the method, else of its service, else of everything.
  func method(_ path: String) -> MethodConfig? {
    guard !methods.isEmpty else { return nil }
    let full = String(path.dropFirst())
    let service = MethodTable.service(of: path) + "/"
    for wanted in [full, service, "/"] {
      for config in methods where config.names.contains(wanted) { return config }
    }
    return nil
  }
}

// MARK: JSON

extension ServiceConfig {
  /// The JSON form of gRPC's documentation.
  /// - Throws: `invalidArgument` that names the field.
  public init(json: String) throws(RPCError) {
    let document: Document
    do { document = try JSONDecoder().decode(Document.self, from: Data(json.utf8)) } catch {
      throw RPCError(.invalidArgument, "the service config is not what gRPC's documentation describes: \(Self.words(error))")
    }
    if let choices = document.loadBalancingConfig {
      loadBalancing = choices.lazy.compactMap { $0.keys.first.flatMap(LoadBalancing.init(policyName:)) }.first
      guard loadBalancing != nil || choices.isEmpty else {
        throw RPCError(.invalidArgument, "the service config's loadBalancingConfig names no policy that is known here")
      }
    }
    if let throttling = document.retryThrottling {
      guard throttling.maxTokens > 0, throttling.maxTokens <= 1000, throttling.tokenRatio > 0 else {
        throw RPCError(.invalidArgument, "retryThrottling needs maxTokens from 0 to 1000 and a tokenRatio above 0")
      }
      retryThrottling = RetryThrottling(maxTokens: throttling.maxTokens, tokenRatio: throttling.tokenRatio)
    }
    for entry in document.methodConfig ?? [] { methods.append(try Self.method(entry)) }
  }

  /// Where in the document, and why.
  private static func words(_ error: any Error) -> String {
    let (context, missing): (DecodingError.Context, String?) =
      switch error {
      case DecodingError.keyNotFound(let key, let context): (context, key.stringValue)
      case DecodingError.valueNotFound(_, let context), DecodingError.typeMismatch(_, let context),
        DecodingError.dataCorrupted(let context):
        (context, nil)
      default: (DecodingError.Context(codingPath: [], debugDescription: "\(error)"), nil)
      }
    let path = (context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue } + [missing].compactMap { $0 })
      .joined(separator: ".").split(separator: ".[").joined(separator: "[")
    return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
  }

  private static func method(_ entry: Document.Method) throws(RPCError) -> MethodConfig {
    var config = MethodConfig(names: entry.name.map { "\($0.service ?? "")/\($0.method ?? "")" })
    guard !entry.name.contains(where: { ($0.service ?? "").isEmpty && !($0.method ?? "").isEmpty }) else {
      throw RPCError(.invalidArgument, "a methodConfig names a method without its service")
    }
    config.timeout = try duration(entry.timeout, "timeout")
    config.waitForReady = entry.waitForReady
    guard entry.retryPolicy == nil || entry.hedgingPolicy == nil else {
      throw RPCError(.invalidArgument, "a methodConfig has either a retryPolicy or a hedgingPolicy, not both")
    }
    if let retry = entry.retryPolicy {
      let attempts = try wholeAttempts(retry.maxAttempts)
      guard attempts >= 2, (0...maxMultiplier).contains(retry.backoffMultiplier), retry.backoffMultiplier > 0, !retry.retryableStatusCodes.isEmpty,
        let initial = try duration(retry.initialBackoff, "initialBackoff"),
        let most = try duration(retry.maxBackoff, "maxBackoff"), initial > .zero, most > .zero
      else {
        throw RPCError(
          .invalidArgument, "a retryPolicy needs maxAttempts of 2 or more, initialBackoff and maxBackoff above 0, a "
            + "backoffMultiplier above 0 and up to \(Int(maxMultiplier)), and retryableStatusCodes")
      }
      config.retry = RetryPolicy(
        maxAttempts: min(attempts, maxAttempts), initialBackoff: initial, maxBackoff: most,
        backoffMultiplier: retry.backoffMultiplier, retryableStatusCodes: try codes(retry.retryableStatusCodes))
    }
    if let hedging = entry.hedgingPolicy {
      let attempts = try wholeAttempts(hedging.maxAttempts)
      guard attempts >= 2 else {
        throw RPCError(.invalidArgument, "a hedgingPolicy needs maxAttempts of 2 or more")
      }
      config.hedging = HedgingPolicy(
        maxAttempts: min(attempts, maxAttempts),
        hedgingDelay: try duration(hedging.hedgingDelay, "hedgingDelay") ?? .zero,
        nonFatalStatusCodes: try codes(hedging.nonFatalStatusCodes ?? []))
    }
    return config
  }

  /// "1.5s" (google.protobuf.Duration in JSON)
  private static func duration(_ text: String?, _ field: String) throws(RPCError) -> Duration? {
    guard let text else { return nil }
    guard text.hasSuffix("s"), let seconds = Double(text.dropLast()), (0...maxSeconds).contains(seconds) else {
      throw RPCError(.invalidArgument, "\(field) is \"\(text)\"; write seconds such as \"1.5s\"")
    }
    return .seconds(seconds)
  }

  /// A backoff that grows faster than this is a mistake.
  private static let maxMultiplier = 1000.0

  private static func wholeAttempts(_ number: Double) throws(RPCError) -> Int {
    guard let whole = Int(exactly: number) else {
      throw RPCError(.invalidArgument, "maxAttempts is \(number); write a whole number of 2 or more")
    }
    return whole
  }

  /// google.protobuf.Duration: 10,000 years.
  private static let maxSeconds = 315_576_000_000.0

  private static func codes(_ given: [Document.Code]) throws(RPCError) -> Set<StatusCode> {
    var codes: Set<StatusCode> = []
    for code in given {
      switch code {
      case .number(let number): codes.insert(StatusCode(rawValue: number))
      case .name(let name):
        guard let known = (0...16).lazy.map(StatusCode.init(rawValue:)).first(where: { $0.description == name }) else {
          throw RPCError(.invalidArgument, "there is no status code \(name)")
        }
        codes.insert(known)
      }
    }
    return codes
  }

  private struct Document: Decodable {
    struct Empty: Decodable {}
    struct Name: Decodable { var service: String?, method: String? }
    enum Code: Decodable {
      case name(String), number(UInt32)
      init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        // Either form is allowed; the second attempt's error is the one to show.
        if let name = try? value.decode(String.self) { self = .name(name) } else {
          self = .number(try value.decode(UInt32.self))
        }
      }
    }
    struct Retry: Decodable {
      var maxAttempts: Double, initialBackoff: String, maxBackoff: String, backoffMultiplier: Double
      var retryableStatusCodes: [Code]
    }
    struct Hedging: Decodable {
      var maxAttempts: Double, hedgingDelay: String?, nonFatalStatusCodes: [Code]?
    }
    struct Method: Decodable {
      var name: [Name]
      var timeout: String?, waitForReady: Bool?, retryPolicy: Retry?, hedgingPolicy: Hedging?
    }
    struct Throttling: Decodable { var maxTokens: Double, tokenRatio: Double }

    var loadBalancingConfig: [[String: Empty]]?
    var methodConfig: [Method]?
    var retryThrottling: Throttling?
  }
}
