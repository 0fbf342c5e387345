// How the REST side tells that something failed: problem details (RFC 9457), with FileFerry's own members beside the
// standard ones, and gRPC's statuses as the HTTP statuses that google.rpc.Code gives for them.
import FerryAPI
import FoundationEssentials
import Hummingbird
import RPC

/// A failure as its reader sees it. Also thrown by this side's own checks, before any service is asked.
struct ProblemDetails: Error, Encodable, Equatable {
  /// A URI that names the kind of problem; "about:blank" where the status says it all.
  var type: String
  /// The kind of problem, in a few words.
  var title: String
  var status: Int
  /// What failed and why, in one sentence.
  var detail: String
  /// Stable, for programs: "OBJECT_MISSING".
  var code: String
  /// What to do about it, in one sentence.
  var nextStep: String?
  /// Whose answer it was, its own word for it, and its own id of the exchange.
  var provider: String?
  var providerCode: String?
  var requestId: String?
  /// Which file, bucket or host it is about.
  var subject: String?
  var retryable: Bool?
  /// Seconds after which the same may work: the header Retry-After (RFC 9110 section 10.2.3), no member of the body.
  var retryAfter: Int64?

  private enum CodingKeys: String, CodingKey {
    case type, title, status, detail, code, nextStep, provider, providerCode, requestId, subject, retryable
  }

  /// Where whoever refused did not say when.
  static let usualRetryAfter: Int64 = 1
}

extension ProblemDetails {
  /// A problem of the HTTP exchange itself.
  init(_ status: Int, _ code: String, _ detail: String, next: String) {
    self.init(
      type: Self.type(of: code), title: Self.title(of: status), status: status, detail: detail, code: code,
      nextStep: next)
  }

  /// What a service, or the way to it, answered.
  init(_ error: RPCError) {
    let status = Self.httpStatus(of: error.code)
    let problem = error.problem ?? Problem()
    let code = problem.code.isEmpty ? error.code.description : problem.code
    self.init(
      type: problem.code.isEmpty ? "about:blank" : Self.type(of: code), title: Self.title(of: status), status: status,
      detail: problem.message.isEmpty ? error.message : problem.message, code: code,
      nextStep: problem.nextStep.isEmpty ? Self.nextStep(after: error.code) : problem.nextStep,
      provider: problem.provider.nonEmpty, providerCode: problem.providerCode.nonEmpty,
      requestId: problem.requestID.nonEmpty, subject: problem.subject.nonEmpty,
      retryable: problem.retryable || error.code == .unavailable ? true : nil)
    if let delay = error.detail(RetryInfo.self)?.retryDelay?.duration ?? error.retryPushback {
      // Rounded up: a moment too early would be refused again.
      retryAfter = max(1, delay.components.seconds + (delay.components.attoseconds > 0 ? 1 : 0))
    } else if retryable == true, status == 429 || status == 503 {
      retryAfter = Self.usualRetryAfter
    }
  }

  private static func type(of code: String) -> String {
    "urn:fileferry:problem:" + code.lowercased().replacing("_", with: "-")
  }

  /// "HTTP Mapping" in google/rpc/code.proto.
  static func httpStatus(of code: StatusCode) -> Int {
    switch code {
    case .ok: 200
    case .cancelled: 499
    case .invalidArgument, .failedPrecondition, .outOfRange: 400
    case .unauthenticated: 401
    case .permissionDenied: 403
    case .notFound: 404
    case .alreadyExists, .aborted: 409
    case .resourceExhausted: 429
    case .unimplemented: 501
    case .unavailable: 503
    case .deadlineExceeded: 504
    default: 500
    }
  }

  private static func title(of status: Int) -> String {
    switch status {
    case 400: "The request cannot be carried out as it stands"
    case 401: "Not signed in"
    case 403: "Not allowed"
    case 404: "Not found"
    case 405: "Method not allowed"
    case 409: "In conflict with what there is"
    case 413: "Too large"
    case 415: "Not JSON"
    case 429: "Too much at once"
    case 499: "Cancelled"
    case 501: "Not offered"
    case 503: "Not available now"
    case 504: "No answer in time"
    default: "Something went wrong in FileFerry"
    }
  }

  /// Advice where the service gave none.
  private static func nextStep(after code: StatusCode) -> String? {
    switch code {
    case .unauthenticated: "Sign in and try again."
    case .permissionDenied: "Ask an administrator for the role that this needs."
    case .unavailable, .deadlineExceeded: "Try again in a moment; if it stays so, look at the system's status."
    default: nil
    }
  }

  /// As an `application/problem+json` response.
  func response() -> Response {
    var headers = HTTPFields()
    headers[.contentType] = "application/problem+json"
    headers[.cacheControl] = "no-store"
    // RFC 6750 section 3: what would have let the request in.
    if status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"fileferry\"" }
    if let retryAfter { headers[.retryAfter] = "\(retryAfter)" }
    let code = HTTPResponse.Status(code: status, reasonPhrase: status == 499 ? "Client Closed Request" : "")
    return Response(
      status: code.reasonPhrase.isEmpty ? HTTPResponse.Status(integerLiteral: status) : code, headers: headers,
      body: ResponseBody(byteBuffer: ByteBuffer(string: json)))
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    } catch {
      // Strings, a number and a flag cannot fail to encode; were it so, the status alone still tells.
      return "{\"type\":\"about:blank\",\"status\":\(status)}"
    }
  }
}

extension String {
  var nonEmpty: String? { isEmpty ? nil : self }
}
