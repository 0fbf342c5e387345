// Why a delivery to a customer's server failed, in the words of the house: what, whose code, retry or not, what to do
// next.
import Transport

public struct DestinationError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable, Equatable, CaseIterable {
    /// The destination's URL, or a path below it, can't be used as written.
    case invalidAddress, invalidPath
    /// Name, network, handshake, time-outs and lost connections: worth another try.
    case unreachable
    case hostKeyUnknown, hostKeyChanged
    /// The server refused the login.
    case loginRefused
    /// The login may not do this.
    case denied
    case missing
    /// A file ends before the bytes that were asked for: what was written there was not kept.
    case tooShort
    /// Something else has the name.
    case conflict
    case noSpace, quota
    case unsupported
    /// More callers wait for a connection than may.
    case busy
    case cancelled
    case failed
  }

  public var kind: Kind
  /// Whose code `providerCode` is: "sftp", "ftp" or "folder".
  public var provider = "sftp"
  /// One sentence: what failed and why.
  public var message: String
  /// One sentence: what to do next.
  public var nextStep: String
  /// The server's or the library's own code; empty if none.
  public var providerCode: String
  public var retryable: Bool
  /// The fingerprint that the server showed, where the error is about the host key; what a pin of its public key would
  /// be, where the error is about its certificate.
  public var shownHostKey: String?
  /// On a server that takes a file's bytes in one stream only: how many bytes the .part file was left with. Everything
  /// from there on has to be written again, whatever was said of it before; the bytes before stand as they were written.
  public var goOnAt: Int64?

  public init(_ kind: Kind, _ message: String, nextStep: String, providerCode: String = "", retryable: Bool? = nil) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
    self.providerCode = providerCode
    self.retryable = retryable ?? (kind == .unreachable || kind == .busy)
  }

  public init(_ error: SFTPError) {
    let kind: Kind =
      switch error.kind {
      case .resolve, .connect, .timeout, .handshake, .connectionLost, .closed: .unreachable
      case .hostKeyChanged: .hostKeyChanged
      case .hostKeyUnknown: .hostKeyUnknown
      case .badKey, .loginRefused: .loginRefused
      case .permissionDenied: .denied
      case .noSuchFile: .missing
      case .alreadyExists: .conflict
      case .noSpace: .noSpace
      case .quota: .quota
      case .unsupported: .unsupported
      case .cancelled: .cancelled
      case .failure: error.providerCode == "SSH_FX_EOF" ? .tooShort : .failed
      }
    self.init(kind, error.message, nextStep: error.nextStep, providerCode: error.providerCode)
    shownHostKey = error.shownHostKey
  }

  public init(_ error: FTPError) {
    let kind: Kind =
      switch error.kind {
      case .resolve, .connect, .timeout, .tls, .tooManyConnections, .connectionLost, .closed: .unreachable
      case .certificateUnknown: .hostKeyUnknown
      case .certificateChanged: .hostKeyChanged
      case .loginRefused: .loginRefused
      case .permissionDenied: .denied
      case .noSuchFile: .missing
      case .nameRefused: .invalidPath
      case .alreadyExists: .conflict
      case .noSpace: .noSpace
      case .quota: .quota
      case .unsupported: .unsupported
      case .cancelled: .cancelled
      case .invalid: .invalidAddress
      case .failure: .failed
      }
    self.init(
      kind, error.message, nextStep: error.nextStep, providerCode: error.providerCode,
      retryable: error.retryable || error.kind == .closed)
    provider = "ftp"
    shownHostKey = error.certificate.flatMap(FTPPin.init)?.text
  }

  public var description: String {
    providerCode.isEmpty ? "\(message) \(nextStep)" : "\(message) \(nextStep) (\(providerCode))"
  }
}
