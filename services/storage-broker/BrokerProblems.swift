// What went wrong, as callers are told it: a storage provider's error becomes a status with a Problem that keeps the
// provider's own code and request id.
import DocumentStore
import FerryAPI
import ObjectStores
import RPC
import ServiceKit

enum BrokerProblems {
  /// - Parameter bucketOnly: no object was asked for, so what is missing is the bucket.
  static func error(_ error: ObjectStoreError, subject: String, bucketOnly: Bool = false) -> RPCError {
    var problem = Problem()
    problem.message = error.message
    problem.nextStep = error.nextStep
    problem.provider = error.provider
    problem.providerCode = error.code
    problem.requestID = error.requestID
    problem.retryable = error.retryable
    problem.subject = subject
    let status: StatusCode
    switch error.kind {
    case .missing:
      status = .notFound
      problem.code = bucketOnly || missingBucketCodes.contains(error.code) ? "BUCKET_MISSING" : "OBJECT_MISSING"
    case .denied:
      // Not PERMISSION_DENIED: that is about the caller's own rights, this about the connection's.
      status = .failedPrecondition
      problem.code = wrongKeyCodes.contains(error.code) ? "WRONG_KEY" : "ACCESS_DENIED"
    case .throttled:
      status = .unavailable
      problem.code = "THROTTLED"
    case .unavailable:
      status = .unavailable
      problem.code = "STORAGE_UNAVAILABLE"
    case .conflict:
      status = .failedPrecondition
      problem.code = "SOURCE_CHANGED"
    case .invalid:
      status = .invalidArgument
      problem.code = "REQUEST_INVALID"
    case .fatal:
      status = .internal
      problem.code = "STORAGE_ANSWER_UNREADABLE"
    case .cancelled:
      status = .cancelled
      problem.code = "CANCELLED"
    }
    return RPCError(status, problem)
  }

  private static let wrongKeyCodes: Set<String> = [
    "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
    "AuthenticationFailed", "InvalidAuthenticationInfo",
  ]
  private static let missingBucketCodes: Set<String> = ["NoSuchBucket", "ContainerNotFound"]

  static func unknownConnection(_ name: String) -> RPCError {
    .told(
      .notFound, "CONNECTION_UNKNOWN", "There is no connection named \(String(name.prefix(100)).debugDescription).",
      next: "Have an administrator save one of that name, or name another.", subject: name)
  }

  static func invalid(_ message: String, _ nextStep: String) -> RPCError {
    .invalid(message, next: nextStep, problem: "REQUEST_INVALID")
  }

  /// Runs a call on this service's own store.
  static func storing<Value: Sendable>(
    _ call: () async throws(DocumentStoreError) -> Value
  ) async throws(RPCError) -> Value {
    do { return try await call() } catch { throw RPCError(error) }
  }
}
