// Who makes a call, as its verified token says: a person, a service, or a service that acts for a person.
import DocumentStore
import FerryAPI
import RPC

public struct Caller: Sendable, Equatable {
  static let servicePrefix = "service:"

  /// A user's id, or "service:transfer".
  public let id: String
  public let name: String
  /// May be empty.
  public let email: String
  /// Of the person; empty for a service by itself.
  public let roles: Set<Role>
  /// "transfer" when that service acts for the person (RFC 8693 section 4.1); nil for a person who calls in person.
  public let actor: String?
  /// The session the token came from; nil for tokens of services.
  public let sessionID: String?
  public let expiresAt: UnixMilliseconds
  /// The token itself, for calls onward. Never log it.
  public let rawToken: String
  /// True for a service that acts for nobody.
  public let isService: Bool
  /// The service that makes the call, for itself or for a person; nil for a person who calls in person.
  public let service: String?

  public init(
    id: String, name: String, email: String = "", roles: Set<Role>, actor: String? = nil, sessionID: String? = nil,
    expiresAt: UnixMilliseconds = .max, rawToken: String = ""
  ) {
    self.id = id
    self.name = name
    self.email = email
    self.roles = roles
    self.actor = actor
    self.sessionID = sessionID
    self.expiresAt = expiresAt
    self.rawToken = rawToken
    isService = id.hasPrefix(Self.servicePrefix)
    service = actor ?? (isService ? String(id.dropFirst(Self.servicePrefix.count)) : nil)
  }

  public var person: Person {
    .with {
      $0.id = id
      $0.name = name
      $0.email = email
    }
  }

  public func has(anyOf wanted: Role...) -> Bool { !roles.isDisjoint(with: wanted) }
}

extension Caller: CustomStringConvertible, CustomReflectable {
  /// "usr_01J... (Ada Lovelace) through transfer"; without the token.
  public var description: String { "\(id) (\(name))" + (actor.map { " through \($0)" } ?? "") }
  public var customMirror: Mirror { Mirror(self, children: ["id": id, "name": name]) }
}

/// A caller as it is passed along: one reference, since each call hands it on several times.
final class VerifiedCaller: Sendable {
  let caller: Caller
  init(_ caller: Caller) { self.caller = caller }
}

private enum CallerKey: ContextKey { typealias Value = VerifiedCaller }

extension CallContext {
  /// The verified caller.
  /// - Throws: UNAUTHENTICATED if the method is public and no valid token came along.
  public var caller: Caller {
    get throws(RPCError) {
      guard let caller = callerIfKnown else {
        throw .unauthenticated("This call needs to know who you are.", next: "Sign in first.")
      }
      return caller
    }
  }

  /// The same as a value that may be missing.
  public var callerIfKnown: Caller? { verifiedCaller?.caller }

  var verifiedCaller: VerifiedCaller? { self[CallerKey.self] }

  mutating func set(_ caller: VerifiedCaller) { self[CallerKey.self] = caller }
}

extension CallOptions {
  /// Options for a call made while serving another one: its caller's token, its deadline, its trace.
  /// - Parameter timeout: an upper bound of its own; the earlier of the two deadlines counts.
  public static func onward(from context: CallContext, timeout: Duration? = nil) -> CallOptions {
    var options = CallOptions(deadline: context.deadline)
    if let caller = context.callerIfKnown { options.metadata.set("authorization", "Bearer \(caller.rawToken)") }
    if let timeout {
      let own = Deadline.after(timeout)
      options.deadline = options.deadline.map { min($0, own) } ?? own
    }
    options.setTrace()
    return options
  }

  /// Adds the running call's trace, unless there is one already.
  mutating func setTrace() {
    guard let trace = TraceContext.current, metadata["traceparent"] == nil else { return }
    metadata.set("traceparent", trace.traceparent)
  }
}
