// A service's own standing: it shows auth its secret and gets tokens, for itself or to act for a person, kept until
// shortly before they expire. For calls that are made later, in the background; while serving a call use
// CallOptions.onward.
import DocumentStore
import FerryAPI
import RPC
import Synchronization

public final class ServiceIdentity: Sendable {
  /// A token is renewed this long before it expires.
  public static let renewBefore: UnixMilliseconds = 60_000
  /// Tokens kept at once; beyond it the ones that expire first go.
  public static let maximumTokens = 256
  /// Bytes of a secret file, at most.
  public static let maximumSecretSize = 1024
  private static let issueTimeout: Duration = .seconds(5)

  public typealias Issue =
    @Sendable (IssueServiceTokenRequest, CallOptions) async throws(RPCError) -> AccessToken

  private struct Held {
    var token: String
    var expiresAt: UnixMilliseconds
  }
  private struct State {
    var held: [String: Held] = [:]
    var underway: [String: Task<Result<String, RPCError>, Never>] = [:]
  }

  /// "transfer"
  public let service: String
  private let secretFile: String
  private let issue: Issue
  private let now: @Sendable () -> UnixMilliseconds
  private let state = Mutex(State())

  /// - Parameter secretFile: read when a token is asked for, so that a changed secret counts at once.
  public init(
    service: String, secretFile: String, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now,
    issue: @escaping Issue
  ) {
    self.service = service
    self.secretFile = secretFile
    self.now = now
    self.issue = issue
  }

  /// A token that is good for at least a few seconds more.
  /// - Parameter userID: a person to act for; nil for the service itself.
  public func token(onBehalfOf userID: String? = nil) async throws(RPCError) -> String {
    let key = userID ?? ""
    let (held, task) = state.withLock { state -> (String?, Task<Result<String, RPCError>, Never>?) in
      if let held = state.held[key], now() + Self.renewBefore < held.expiresAt { return (held.token, nil) }
      if let underway = state.underway[key] { return (nil, underway) }
      let task = Task { await self.renew(key) }
      state.underway[key] = task
      return (nil, task)
    }
    if let held { return held }
    guard let task else { throw .fault("No token could be asked for.") }
    return try await task.value.get()
  }

  /// Options for a call in the background, with a token, a deadline and the running trace if there is one.
  public func options(onBehalfOf userID: String? = nil, timeout: Duration) async throws(RPCError) -> CallOptions {
    var options = CallOptions.timeout(timeout)
    options.metadata.set("authorization", "Bearer \(try await token(onBehalfOf: userID))")
    options.setTrace()
    return options
  }

  private func renew(_ key: String) async -> Result<String, RPCError> {
    let outcome: Result<AccessToken, RPCError>
    do throws(RPCError) {
      let secret = try secret()
      let request = IssueServiceTokenRequest.with {
        $0.service = service
        $0.secret = secret
        $0.onBehalfOf = key
      }
      outcome = .success(try await issue(request, .timeout(Self.issueTimeout)))
    } catch { outcome = .failure(error) }
    return state.withLock { state in
      state.underway[key] = nil
      return outcome.map { answer in
        if state.held.count >= Self.maximumTokens { makeRoom(&state) }
        state.held[key] = Held(token: answer.accessToken, expiresAt: (answer.expiresAt?.seconds ?? 0) * 1000)
        return answer.accessToken
      }
    }
  }

  private func makeRoom(_ state: inout State) {
    let inOrder = state.held.sorted { $0.value.expiresAt < $1.value.expiresAt }
    for (key, _) in inOrder.prefix(Self.maximumTokens / 2) { state.held[key] = nil }
  }

  private func secret() throws(RPCError) -> String {
    guard !secretFile.isEmpty else {
      throw .precondition(
        "The service \(service) has no secret to prove itself with.", next: "Start it with --service-secret-file.")
    }
    do {
      let bytes = try PrivateFile.read(secretFile, maximumSize: Self.maximumSecretSize)
      let text = String(decoding: bytes, as: UTF8.self)
      return String(text.trimmingSpaces)
    } catch {
      throw .precondition(
        "The secret of the service \(service) can't be read: \(error.message)", next: error.nextStep)
    }
  }
}

extension String {
  /// Without white space and line ends at both ends: secret files often end in a line end.
  public var trimmingSpaces: Substring {
    let isSpace: (Character) -> Bool = { $0.isWhitespace }
    return self[(firstIndex { !isSpace($0) } ?? endIndex)...].dropLast(while: isSpace)
  }
}

extension Substring {
  fileprivate func dropLast(while predicate: (Character) -> Bool) -> Substring {
    var rest = self
    while let last = rest.last, predicate(last) { rest.removeLast() }
    return rest
  }
}
