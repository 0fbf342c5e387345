// The error an Azure Storage service answers with, kept in its own words for a support desk ("Status and error codes",
// Azure Storage REST API). What it means for a delivery is for the caller to say.
import Transport

public struct AzureError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The HTTP status.
  public let status: Int
  /// "BlobNotFound"; empty where the answer names none. HEAD's answers do, in a header.
  public let code: String
  /// The first line: the id and the time that follow it in the answer are told elsewhere.
  public let message: String
  public let requestID: String
  /// What exactly was wrong with a signature; may run over many lines.
  public let detail: String

  public init(status: Int, code: String, message: String, requestID: String, detail: String = "") {
    self.status = status
    self.code = code
    self.message = message
    self.requestID = requestID
    self.detail = detail
  }

  /// From an answer's body and headers; never fails, as there must be an error.
  public init(status: Int, body: [UInt8], header: (String) -> String?) {
    // A body that is no XML, from a proxy or a load balancer, leaves the status and the headers to speak.
    let root = (try? XMLElement(parsing: body)).flatMap { $0.name == "Error" ? $0 : nil }
    let field = { (name: String) in (root?[name]?.text).flatMap { $0.isEmpty ? nil : String($0.prefix(1024)) } }
    let message = field("Message")?.split(whereSeparator: \.isNewline).first
    self.init(
      status: status, code: header("x-ms-error-code") ?? field("Code") ?? "", message: message.map(String.init) ?? "",
      requestID: header("x-ms-request-id") ?? "", detail: field("AuthenticationErrorDetail") ?? "")
  }

  public var description: String {
    let name = code.isEmpty ? "HTTP status \(status)" : code
    return "\(name)\(message.isEmpty ? "" : ": \(message)") (request id \(requestID.isEmpty ? "none" : requestID))"
  }
}
