// Errors of calls as this system tells them: a gRPC status whose detail is a Problem, one sentence on what failed and
// one on what to do next. Also what a document store's error becomes when it ends a call.
import DocumentStore
import FerryAPI
import Logging
import RPC

extension RPCError {
  /// - Parameters:
  ///   - problem: stable, upper snake case: "PASSWORD_TOO_SHORT"
  ///   - next: one sentence on what to do
  ///   - subject: which file, field or host it is about
  ///   - retryAfter: when the same may work, where that is known
  public static func told(
    _ code: StatusCode, _ problem: String, _ message: String, next: String, subject: String = "",
    retryable: Bool = false, retryAfter: Duration? = nil
  ) -> RPCError {
    let detail = Problem.with {
      $0.code = problem
      $0.message = message
      $0.nextStep = next
      $0.subject = subject
      $0.retryable = retryable
    }
    let info = retryAfter.map { [StatusDetail(RetryInfo(after: $0))] } ?? []
    return RPCError(code, message, details: [StatusDetail(detail)] + info)
  }

  /// INVALID_ARGUMENT: the request can never work as it is.
  public static func invalid(
    _ message: String, next: String, problem: String = "INVALID_ARGUMENT", subject: String = ""
  ) -> RPCError {
    told(.invalidArgument, problem, message, next: next, subject: subject)
  }

  public static func notFound(_ message: String, next: String, subject: String = "") -> RPCError {
    told(.notFound, "NOT_FOUND", message, next: next, subject: subject)
  }

  /// UNAUTHENTICATED: who calls is not known.
  public static func unauthenticated(_ message: String, next: String = "Sign in again.") -> RPCError {
    told(.unauthenticated, "UNAUTHENTICATED", message, next: next)
  }

  /// PERMISSION_DENIED: who calls is known and may not.
  public static func denied(_ message: String, next: String) -> RPCError {
    told(.permissionDenied, "PERMISSION_DENIED", message, next: next)
  }

  /// FAILED_PRECONDITION: the state of things has to change first.
  public static func precondition(
    _ message: String, next: String, problem: String = "FAILED_PRECONDITION"
  ) -> RPCError {
    told(.failedPrecondition, problem, message, next: next)
  }

  /// UNAVAILABLE: the same call may work later.
  public static func unavailable(_ message: String, next: String = "Try again in a moment.") -> RPCError {
    told(.unavailable, "UNAVAILABLE", message, next: next, retryable: true)
  }

  /// INTERNAL: a fault of this system. The cause belongs into the log, not in here.
  public static func fault(_ message: String, next: String = "Tell an administrator; the service's log has more.")
    -> RPCError
  {
    told(.internal, "INTERNAL", message, next: next)
  }

  /// What a store's failure is to the caller. Paths and SQLite's wording stay out of it.
  /// - Parameter logger: is told the error itself, unless it is a mere conflict.
  public init(_ error: DocumentStoreError, logger: Logger? = nil) {
    if error.conflictingKey == nil { logger?.error("the database failed", metadata: ["error": "\(error)"]) }
    switch error.kind {
    case .conflict:
      self = .told(
        .aborted, "CONFLICT", "Somebody else changed the same record at the same moment.", next: "Try again.",
        retryable: true)
    case .invalid:
      self = .invalid(error.message, next: error.nextStep)
    case .overloaded:
      self = .told(
        .resourceExhausted, "OVERLOADED", "Too many writes are waiting for this service's database.",
        next: "Try again in a moment.", retryable: true)
    case .full:
      self = .told(
        .resourceExhausted, "DISK_FULL", "The disk of this service's database is full.",
        next: "Tell an administrator to free space on it.", retryable: true)
    case .unavailable, .closed:
      self = .unavailable("This service's database does not answer.")
    case .corrupt, .foreign:
      self = .fault("This service's database is damaged.")
    }
  }
}
