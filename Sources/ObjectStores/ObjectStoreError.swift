// Why a provider's answer was no, in one shape for all of them: a kind to decide by, the provider's own code and
// request id for its support desk, and what to do next for the person who waits.
import Transport

public struct ObjectStoreError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable {
    case missing  // no such bucket, object or version
    case denied  // the credentials, or their rights
    case throttled
    case unavailable  // the provider, or the way to it
    case conflict  // the object is no longer the one asked for
    case invalid  // the request or the connection's settings
    case fatal  // an answer that can't be understood
    case cancelled  // the caller's task was
  }

  public let kind: Kind
  /// "s3", "azure", "folder".
  public let provider: String
  /// Which of a provider's services, "blob"; empty where it is the only one.
  public let service: String
  /// The provider's own, "SignatureDoesNotMatch"; empty for none.
  public let code: String
  public let requestID: String
  /// One sentence: what failed and why.
  public let message: String
  /// One sentence: what to do.
  public let nextStep: String
  public let retryable: Bool

  public init(
    _ kind: Kind, provider: String, service: String = "", code: String = "", requestID: String = "", message: String,
    nextStep: String, retryable: Bool? = nil
  ) {
    self.kind = kind
    self.provider = provider
    self.service = service
    self.code = code
    self.requestID = requestID
    self.message = message
    self.nextStep = nextStep
    self.retryable = retryable ?? (kind == .throttled || kind == .unavailable)
  }

  public var description: String {
    let ids = [code, requestID.isEmpty ? "" : "request id \(requestID)"].filter { !$0.isEmpty }
    return "\(message)\(ids.isEmpty ? "" : " (\(ids.joined(separator: ", ")))") \(nextStep)"
  }
}

extension ObjectStoreError {
  /// The way to the provider failed. `what` names the thing asked for: "the object a/b in bucket c".
  init(_ error: TransportError, what: String, provider: String, service: String = "") {
    let kind: Kind =
      switch error.kind {
      case .cancelled: .cancelled
      case .invalidRequest: .invalid
      case .tooLarge, .protocolViolation, .refused: .fatal
      case .resolve, .connect, .tls, .timeout, .reset, .overloaded, .system: .unavailable
      }
    self.init(
      kind, provider: provider, service: service, code: error.kind.rawValue,
      message: "Asking for \(what) failed: \(error.message)", nextStep: error.nextStep, retryable: error.retryable)
  }
}
