// From Azure Storage's error codes and HTTP statuses to our kinds, with a next step for each ("Blob Storage error
// codes" and "Common REST API error codes", Azure Storage REST API). Unknown codes are judged by their status.
import CloudsAzure
import Transport

extension ObjectStoreError {
  init(_ error: AzureError, what: String, credentials: AzureBlobCredentials, secondsSince1970: Int64) {
    let (kind, nextStep) = Self.judge(error, credentials, secondsSince1970)
    let message = error.message.hasSuffix(".") ? String(error.message.dropLast()) : error.message
    let name = error.code.isEmpty ? "HTTP status \(error.status)" : error.code
    self.init(
      kind, provider: AzureBlobObjectStore.provider, service: AzureBlobObjectStore.service,
      code: error.code.isEmpty ? String(error.status) : error.code, requestID: error.requestID,
      message: "The storage answered \(name) for \(what)\(message.isEmpty ? "" : ", saying: \(message)").",
      nextStep: nextStep)
  }

  private static func judge(
    _ error: AzureError, _ credentials: AzureBlobCredentials, _ now: Int64
  ) -> (Kind, String) {
    switch error.code {
    case "BlobNotFound": return (.missing, "Check the blob's name; it is case-sensitive.")
    case "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled":
      return (.missing, "Check the container's name.")
    case "ResourceNotFound": return (.missing, "Check the account, the container and the blob's name.")
    case "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation":
      return (.denied, newCredentials(error, credentials, now))
    case "AuthorizationPermissionMismatch", "InsufficientAccountPermissions":
      return (.denied, "Save the connection again with credentials that may read and list; in a SAS that is sp=rl.")
    case "AuthorizationResourceTypeMismatch":
      return (.denied, "Save the connection again with a SAS for services, containers and objects (srt=sco).")
    case "AuthorizationServiceMismatch":
      return (.denied, "Save the connection again with a SAS for the Blob service (ss=b).")
    case "AuthorizationProtocolMismatch": return (.denied, "The SAS asks for https: change the connection's endpoint.")
    case "AuthorizationFailure", "AuthorizationSourceIPMismatch", "IpAuthorizationFailure":
      return (
        .denied,
        "Have this machine's address let through the account's firewall, or the credentials given the right to this."
      )
    case "KeyBasedAuthenticationNotPermitted":
      return (.denied, "The account forbids its keys: save the connection again with a user delegation SAS.")
    case "AccountIsDisabled": return (.denied, "Have the storage account enabled again.")
    case "BlobArchived": return (.denied, "The blob is archived: rehydrate it to another tier, then ask again.")
    case "BlobBeingRehydrated": return (.denied, "The blob is coming back from the archive; ask again in some hours.")
    case "ConditionNotMet", "TargetConditionNotMet":
      return (.conflict, "The blob has changed: plan the delivery again.")
    case "ServerBusy", "TooManyRequests":
      return (.throttled, "Ask again in a while; fewer deliveries at a time help.")
    case "InternalError", "OperationTimedOut": return (.unavailable, "Ask again in a while.")
    case "InvalidQueryParameterValue", "OutOfRangeInput", "InvalidResourceName", "InvalidUri", "InvalidInput":
      return (.invalid, "Check the names of the container and the blob, and start the list anew.")
    default: return judge(status: error.status)
    }
  }

  /// What a signature that was refused needs: the service tells why only in an answer with a body.
  private static func newCredentials(
    _ error: AzureError, _ credentials: AzureBlobCredentials, _ now: Int64
  ) -> String {
    switch credentials {
    case .sharedKey:
      return error.detail.contains("too old")
        ? "Set this machine's clock; it is off by over 15 minutes."
        : "Save the connection again with the account's present key, and check this machine's clock."
    case .token(let token):
      let hasEnded = token.expiresAtSecondsSince1970.map { $0 <= now } ?? false
      return hasEnded || error.detail.contains("time frame")
        ? "The connection's SAS is not valid at this time: save the connection again with a new one."
        : "Save the connection again with a SAS that covers this, signed with a key that the account still has."
    }
  }

  private static func judge(status: Int) -> (Kind, String) {
    switch status {
    case 300..<400: (.invalid, "Check the connection's endpoint.")
    case 401, 403: (.denied, "Check the connection's account and its credentials.")
    case 404: (.missing, "Check the container and the blob's name.")
    case 409: (.conflict, "Ask again; the blob was being changed.")
    case 412: (.conflict, "The blob has changed: plan the delivery again.")
    case 429: (.throttled, "Ask again in a while.")
    case 500...599: (.unavailable, "Ask again in a while.")
    case 400...499: (.invalid, "Check the connection's settings: account and endpoint.")
    default: (.fatal, "Check that the endpoint is that of Azure Blob Storage.")
    }
  }
}
