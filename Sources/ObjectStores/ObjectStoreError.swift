// Why a provider's answer was no, in one shape for all of them: a kind to decide by, the provider's own code and
// request id for its support desk, and what to do next for the person who waits.

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
  /// "s3", "folder".
  public let provider: String
  /// The provider's own, "SignatureDoesNotMatch"; empty for none.
  public let code: String
  public let requestID: String
  /// One sentence: what failed and why.
  public let message: String
  /// One sentence: what to do.
  public let nextStep: String
  public let retryable: Bool

  public init(
    _ kind: Kind, provider: String, code: String = "", requestID: String = "", message: String, nextStep: String,
    retryable: Bool? = nil
  ) {
    self.kind = kind
    self.provider = provider
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
