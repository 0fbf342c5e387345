// Why a delivery, or one file of it, could not go on: a Problem for people, and what the engine needs to decide by: is
// another try worth it, does it concern one file or all, is it a service of our own that is merely down.
import Destinations
import FerryAPI
import RPC
import ServiceKit
import Transport
import Workflow

struct DeliveryFailure: Error, RetryableError, CustomStringConvertible {
  enum Scope: Sendable {
    /// Other files may fare better.
    case file
    /// No other file would: the login, the host key, the bucket, the disk.
    case delivery
  }

  var problem: Problem
  var scope: Scope
  var retryable: Bool { problem.retryable }
  var retryAfter: Duration?
  /// A service of FileFerry's own does not answer: it is waited for, rather than failing the delivery.
  var peerIsDown = false
  /// `DestinationError.goOnAt`.
  var goOnAt: Int64?
  /// `DestinationError.shownHostKey`.
  var shownHostKey: String?

  var description: String { "\(problem.message) \(problem.nextStep)" }

  init(
    _ code: String, _ message: String, next: String, scope: Scope = .file, retryable: Bool = false,
    provider: String = "", providerCode: String = "", subject: String = ""
  ) {
    var problem = Problem()
    (problem.code, problem.message, problem.nextStep) = (code, message, next)
    (problem.provider, problem.providerCode, problem.subject) = (provider, providerCode, subject)
    problem.retryable = retryable
    self.problem = problem
    self.scope = scope
  }

  init(_ problem: Problem, scope: Scope) {
    self.problem = problem
    self.scope = scope
  }
}

// MARK: From the destination

extension DeliveryFailure {
  /// - Parameter connecting: nothing moves yet, so a lost connection is told as a server that can't be reached.
  init(_ error: DestinationError, connecting: Bool = false, subject: String = "") {
    let (code, scope): (String, Scope) =
      switch error.kind {
      case .invalidAddress: ("DESTINATION_INVALID", .delivery)
      case .invalidPath: ("NAME_UNSAFE", .file)
      case .unreachable: (connecting ? "DESTINATION_UNREACHABLE" : "CONNECTION_LOST", .delivery)
      case .hostKeyUnknown: ("HOST_KEY_UNKNOWN", .delivery)
      case .hostKeyChanged: ("HOST_KEY_CHANGED", .delivery)
      case .loginRefused: ("LOGIN_REFUSED", .delivery)
      case .denied: ("PERMISSION_DENIED", .file)
      case .missing: ("TARGET_MISSING", .file)
      case .conflict: ("TARGET_EXISTS", .file)
      case .tooShort: ("TARGET_SHORT", .file)
      case .noSpace, .quota: ("NO_SPACE", .delivery)
      case .unsupported: ("DESTINATION_UNSUPPORTED", .delivery)
      case .busy: ("DESTINATION_BUSY", .delivery)
      case .cancelled: ("CANCELLED", .delivery)
      case .failed: ("DESTINATION_FAILED", .file)
      }
    self.init(
      code, error.message, next: error.nextStep, scope: scope, retryable: error.retryable, provider: error.provider,
      providerCode: error.providerCode, subject: subject)
    (goOnAt, shownHostKey) = (error.goOnAt, error.shownHostKey)
  }
}

// MARK: From a service of our own

extension DeliveryFailure {
  private static let concernsAll: Set<String> = [
    "BUCKET_MISSING", "WRONG_KEY", "CONNECTION_UNKNOWN", "THROTTLED", "STORAGE_UNAVAILABLE", "PERMISSION_DENIED",
    "UNAUTHENTICATED", "REQUEST_INVALID",
  ]
  private static let passing: Set<StatusCode> = [
    .unavailable, .deadlineExceeded, .resourceExhausted, .aborted, .unknown, .unauthenticated,
  ]

  /// - Parameter service: whose answer, or silence, it was: "storage-broker".
  init(_ error: RPCError, from service: String) {
    let told = error.problem
    if let told {
      self.init(told, scope: Self.concernsAll.contains(told.code) ? .delivery : .file)
    } else {
      self.init(
        "SERVICE_FAILED", "The service \(service) answered \(error.code): \(error.message).",
        next: "Try again; if it stays, an administrator finds more in that service's log.", scope: .delivery,
        retryable: Self.passing.contains(error.code), subject: service)
    }
    // A provider that a service tells of is one thing, the service itself being away another.
    peerIsDown = Self.passing.contains(error.code) && (told?.provider ?? "").isEmpty
    if peerIsDown { problem.retryable = true }
  }
}

// MARK: From the way to the source

extension DeliveryFailure {
  init(_ error: TransportError, subject: String) {
    self.init(
      error.kind == .cancelled ? "CANCELLED" : "STORAGE_UNAVAILABLE", "Reading \(subject) failed: \(error.message)",
      next: error.nextStep, scope: .delivery, retryable: error.retryable, provider: "s3",
      providerCode: error.kind.rawValue, subject: subject)
  }

  /// "Error Responses", Amazon S3 API Reference, and "Blob Storage error codes", Azure Storage REST API. The XML body holds
  /// the provider's own code, with Azure a header too.
  init(status: Int, response: HTTPResponse, subject: String) {
    let body = status >= 300 ? String(response.text.prefix(4096)) : ""
    let azureRequestID = response.headers["x-ms-request-id"]
    let providerCode =
      response.headers["x-ms-error-code"] ?? Self.element("Code", in: body) ?? "HTTP \(status)"
    // Azure writes its request id and the time on lines of their own.
    let firstLine = Self.element("Message", in: body)?.split(whereSeparator: \.isNewline).first
    let said = firstLine.map { ", saying: \($0.prefix(300))" } ?? ""
    let message = "The storage answered \(providerCode) for \(subject)\(said)."
    let (code, scope, retryable, next): (String, Scope, Bool, String) =
      switch (status, providerCode) {
      case (_, "SignatureDoesNotMatch"), (_, "InvalidAccessKeyId"), (_, "ExpiredToken"), (_, "InvalidToken"),
        (_, "AuthenticationFailed"):
        ("WRONG_KEY", .delivery, false, "Have an administrator save the connection again with a valid key.")
      case (_, "InvalidObjectState"), (_, "BlobArchived"), (_, "BlobBeingRehydrated"):
        ("OBJECT_ARCHIVED", .file, false, "Have the object brought back from its archive tier, then deliver it again.")
      case (401, _), (403, _):
        ("ACCESS_DENIED", .file, false, "Have the connection's access key given the right to read this object.")
      case (404, "NoSuchBucket"), (404, "ContainerNotFound"): ("BUCKET_MISSING", .delivery, false, "Check the bucket's name.")
      case (404, _): ("OBJECT_MISSING", .file, false, "Check that the object is still there.")
      case (412, _), (416, _):
        ("SOURCE_CHANGED", .file, false, "Start a new delivery, which takes the object as it is now.")
      case (429, _), (503, _): ("THROTTLED", .delivery, true, "Try again in a while.")
      case (500..., _), (408, _): ("STORAGE_UNAVAILABLE", .delivery, true, "Try again in a while.")
      default:
        ("STORAGE_ANSWER_UNREADABLE", .file, false, "Check that the connection's endpoint is that of its provider.")
      }
    self.init(
      code, message, next: next, scope: scope, retryable: retryable, provider: azureRequestID == nil ? "s3" : "azure",
      providerCode: providerCode, subject: subject)
    problem.requestID =
      azureRequestID ?? response.headers["x-amz-request-id"] ?? Self.element("RequestId", in: body) ?? ""
    if let seconds = response.headers["retry-after"].flatMap(Int.init), seconds > 0 {
      retryAfter = .seconds(min(seconds, Self.maxRetryAfterSeconds))
    }
  }

  /// A 400 without a reason is no answer of the storage's: a server that finds a request's connection half closed says so of
  /// the request that it did not get whole.
  static func isCutShort(_ response: HTTPResponse) -> Bool {
    response.status == 400 && response.headers["x-ms-error-code"] == nil
      && element("Code", in: String(response.text.prefix(4096))) == nil
  }

  init(cutShort response: HTTPResponse, subject: String) {
    self.init(
      "STORAGE_UNAVAILABLE", "The storage answered HTTP \(response.status) for \(subject) and gave no reason.",
      next: "Try again; if it stays, check that the connection's endpoint is that of its provider.", scope: .delivery,
      retryable: true, provider: "s3", providerCode: "HTTP \(response.status)", subject: subject)
  }

  /// Longer waits than this are not granted to a server's Retry-After.
  private static let maxRetryAfterSeconds = 120

  private static func element(_ name: String, in xml: String) -> String? {
    guard let start = xml.firstRange(of: "<\(name)>"),
      let end = xml[start.upperBound...].firstRange(of: "</\(name)>")
    else { return nil }
    return String(xml[start.upperBound..<end.lowerBound])
  }

  /// - Parameter checksum: what they don't have: "CRC64NVME".
  static func corrupt(_ subject: String, _ checksum: String, provider: String = "s3") -> DeliveryFailure {
    DeliveryFailure(
      "SOURCE_CORRUPT", "The bytes read of \(subject) don't have the \(checksum) that the storage states for it.",
      next: "Try again; if it stays, have the object uploaded anew.", retryable: true, provider: provider,
      subject: subject)
  }

  static func changed(_ subject: String, _ why: String) -> DeliveryFailure {
    DeliveryFailure(
      "SOURCE_CHANGED", "\(subject) changed while it was being read: \(why).",
      next: "Start a new delivery, which takes the object as it is now.", subject: subject)
  }
}

/// Runs a call on the destination and turns its error into a failure.
func reaching<Value>(
  _ subject: String = "", connecting: Bool = false, isolation: isolated (any Actor)? = #isolation,
  _ call: () async throws(DestinationError) -> Value
) async throws(DeliveryFailure) -> Value {
  do { return try await call() } catch { throw DeliveryFailure(error, connecting: connecting, subject: subject) }
}
