// The error an AWS XML service answers with, kept in its own words for a support desk ("Error Responses", Amazon S3 API
// Reference). What it means for a delivery is for the caller to say.
import Transport

public struct AWSError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The HTTP status.
  public let status: Int
  /// "NoSuchKey"; empty where the answer had no readable body.
  public let code: String
  public let message: String
  public let requestID: String
  /// S3's extended request id.
  public let hostID: String
  /// Where S3 says that the bucket lives elsewhere.
  public let region: String?

  public init(status: Int, code: String, message: String, requestID: String, hostID: String = "", region: String? = nil)
  {
    self.status = status
    self.code = code
    self.message = message
    self.requestID = requestID
    self.hostID = hostID
    self.region = region
  }

  /// From an answer's body (`<Error>…` or `<ErrorResponse><Error>…`) and headers; never fails, as there must be an
  /// error.
  public init(status: Int, body: [UInt8], header: (String) -> String?) {
    // A body that is no XML, from a proxy or a load balancer, leaves the status and the ids to speak.
    let root = try? XMLElement(parsing: body)
    let error = root?.name == "Error" ? root : root?["Error"]
    let field = { (name: String) in (error?[name]?.text).flatMap { $0.isEmpty ? nil : String($0.prefix(512)) } }
    self.init(
      status: status, code: field("Code") ?? "", message: field("Message") ?? "",
      requestID: field("RequestId") ?? root?["RequestId"]?.text ?? header("x-amz-request-id")
        ?? header("x-amzn-requestid") ?? "",
      hostID: field("HostId") ?? header("x-amz-id-2") ?? "",
      region: header("x-amz-bucket-region") ?? field("Region"))
  }

  public var description: String {
    let name = code.isEmpty ? "HTTP status \(status)" : code
    return "\(name)\(message.isEmpty ? "" : ": \(message)") (request id \(requestID.isEmpty ? "none" : requestID))"
  }
}
