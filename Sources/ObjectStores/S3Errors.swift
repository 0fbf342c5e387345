// From S3's error codes and HTTP statuses to our kinds, with a next step for each ("Error Responses", Amazon S3 API
// Reference). Unknown codes are judged by their status.
import CloudsAWS

extension ObjectStoreError {
  init(_ error: AWSError, what: String, region: String) {
    let (kind, nextStep) = Self.judge(error, region: region)
    let said = error.message.isEmpty ? "" : ", saying: \(error.message.trimmedPeriod)"
    let name = error.code.isEmpty ? "HTTP status \(error.status)" : error.code
    self.init(
      kind, provider: S3ObjectStore.provider, code: error.code.isEmpty ? String(error.status) : error.code,
      requestID: error.requestID, message: "The storage answered \(name) for \(what)\(said).", nextStep: nextStep)
  }

  private static func judge(_ error: AWSError, region: String) -> (Kind, String) {
    if let elsewhere = error.region, elsewhere != region, wrongRegionCodes.contains(error.code) || error.status == 301 {
      return (.invalid, "The bucket is in region \(elsewhere), the connection says \(region): change the connection.")
    }
    switch error.code {
    case "NoSuchKey", "NoSuchVersion":
      return (.missing, "Check the key; it is case-sensitive, and folders end in a slash.")
    case "NoSuchBucket": return (.missing, "Check the bucket's name.")
    case "SignatureDoesNotMatch": return (.denied, "Save the connection again with the right secret access key.")
    case "InvalidAccessKeyId": return (.denied, "Save the connection again with an access key id the storage knows.")
    case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
      return (.denied, "Save the connection again with a new session token.")
    case "AccessDenied", "AllAccessDisabled", "AccountProblem":
      return (.denied, "Have the access key given the rights to list and read this bucket.")
    case "RequestTimeTooSkewed": return (.denied, "Set this machine's clock; it is off by over 15 minutes.")
    case "InvalidObjectState": return (.denied, "The object is archived: restore it, then ask again.")
    case "AuthorizationHeaderMalformed": return (.invalid, "Check the connection's region.")
    case "PermanentRedirect", "TemporaryRedirect": return (.invalid, "Check the connection's region and endpoint.")
    case "PreconditionFailed": return (.conflict, "The object has changed: plan the delivery again.")
    case "SlowDown", "ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequests":
      return (.throttled, "Ask again in a while; fewer deliveries at a time help.")
    case "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted":
      return (.unavailable, "Ask again in a while.")
    default: return judge(status: error.status)
    }
  }

  private static let wrongRegionCodes: Set<String> = [
    "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException", "",
  ]

  private static func judge(status: Int) -> (Kind, String) {
    switch status {
    case 301, 302, 307, 308: (.invalid, "Check the connection's region and endpoint.")
    case 401, 403: (.denied, "Check the connection's access key and its rights.")
    case 404: (.missing, "Check the bucket and the key.")
    case 409: (.conflict, "Ask again; the object was being changed.")
    case 412: (.conflict, "The object has changed: plan the delivery again.")
    case 429: (.throttled, "Ask again in a while.")
    case 500...599: (.unavailable, "Ask again in a while.")
    case 400...499: (.invalid, "Check the connection's settings: region, endpoint and session token.")
    default: (.fatal, "Check that the endpoint is that of an S3 server.")
    }
  }
}

extension String {
  fileprivate var trimmedPeriod: String { hasSuffix(".") ? String(dropLast()) : self }
}
