// TLS and mutual TLS with ALPN (RFC 9113 section 3.2, RFC 7301), certificates read again when their files change. NIOSSL
// does the cryptography; this file decides what is asked of the other side.
import HTTP2
import NIOCore
import NIOSSL
import NIOTLS
import Synchronization

/// What a server proves itself with, and whether it asks the same of its clients. Files are PEM (RFC 7468).
public struct ServerTLS: Sendable {
  /// The server's certificate and those between it and its CA, the server's first.
  public var certificateFile: String
  public var keyFile: String
  /// CAs whose clients may connect (mutual TLS); nil lets everybody connect.
  public var clientCAFile: String?
  /// How often a new connection looks whether the files have changed.
  public var reloadInterval: Duration
  /// Hears when changed files were taken (nil) or could not be; then the former ones stay in use.
  public var onReload: (@Sendable (RPCError?) -> Void)?

  public init(
    certificateFile: String, keyFile: String, clientCAFile: String? = nil, reloadInterval: Duration = .seconds(1),
    onReload: (@Sendable (RPCError?) -> Void)? = nil
  ) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.clientCAFile = clientCAFile
    self.reloadInterval = reloadInterval
    self.onReload = onReload
  }
}

/// What a client asks of its server, and what it proves itself with. Files are PEM.
public struct ClientTLS: Sendable {
  /// CAs that the server's certificate may come from; nil means those of the system.
  public var caFile: String?
  /// For mutual TLS.
  public var certificateFile: String?
  public var keyFile: String?
  /// The name that the server's certificate must bear; nil means the name or address that was connected to.
  public var serverName: String?
  /// False takes any certificate, so that anybody may be the server: for tests, and where nothing is told or believed.
  public var verifiesServer: Bool
  public var reloadInterval: Duration

  public init(
    caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, serverName: String? = nil,
    verifiesServer: Bool = true, reloadInterval: Duration = .seconds(1)
  ) {
    self.caFile = caFile
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.serverName = serverName
    self.verifiesServer = verifiesServer
    self.reloadInterval = reloadInterval
  }
}

/// A verified certificate of the other side.
public struct PeerCertificate: Sendable {
  /// X.509 in DER.
  public let derBytes: [UInt8]
}

/// TLS for a server of another protocol than RPC's own: the same files, read again when they change.
public final class TLSAcceptor: Sendable {
  private let source: TLSContextSource

  /// - Parameter applicationProtocols: what is agreed to by ALPN, the preferred first: "http/1.1".
  public init(_ tls: ServerTLS, applicationProtocols: [String]) throws(RPCError) {
    source = try TLSContextSource(tls, applicationProtocols: applicationProtocols)
  }

  /// What a new connection's pipeline begins with.
  public func makeHandler() -> any ChannelHandler { NIOSSLServerHandler(context: source.context()) }
}

/// A TLS context that is made anew when the files behind it change.
final class TLSContextSource: Sendable {
  private struct State {
    var context: NIOSSLContext
    var stamps: [FileStamp?]
    var checkedAt: NIODeadline
  }

  private let make: @Sendable () throws -> NIOSSLContext
  private let files: [String]
  private let interval: TimeAmount
  private let onReload: (@Sendable (RPCError?) -> Void)?
  private let state: Mutex<State>

  private init(
    files: [String?], interval: Duration, onReload: (@Sendable (RPCError?) -> Void)?,
    make: @escaping @Sendable () throws -> NIOSSLContext
  ) throws(RPCError) {
    let names = files.compactMap { $0 }
    self.files = names
    self.interval = TimeAmount(clamping: interval)
    self.onReload = onReload
    self.make = make
    // The stamps come first: a file that changes while it is read is then read again.
    let stamps = names.map(FileStamp.init(path:))
    state = Mutex(State(context: try Self.attempt(make, names), stamps: stamps, checkedAt: .now()))
  }

  private static func attempt(
    _ make: () throws -> NIOSSLContext, _ files: [String]
  ) throws(RPCError) -> NIOSSLContext {
    do { return try make() } catch {
      let names = files.isEmpty ? "the system's certificates" : files.joined(separator: ", ")
      throw RPCError(
        .failedPrecondition, "TLS cannot be set up from \(names): \(TLSFailure.reason(error)). Check that each is PEM, and "
          + "that the key belongs to the certificate.")
    }
  }

  /// How long the other side may take to answer the end of TLS (close_notify); some never do.
  private static let shutdownTimeout = TimeAmount.milliseconds(250)

  /// The context for a new connection.
  func context() -> NIOSSLContext {
    let (context, outcome): (NIOSSLContext, Result<Void, RPCError>?) = state.withLock { state in
      let now = NIODeadline.now()
      guard now - state.checkedAt >= interval else { return (state.context, nil) }
      state.checkedAt = now
      let stamps = files.map(FileStamp.init(path:))
      guard stamps != state.stamps else { return (state.context, nil) }
      do throws(RPCError) {
        state.context = try Self.attempt(make, files)
        state.stamps = stamps
        return (state.context, .success(()))
      } catch {
        // Certificate and key are two files: between their writes they do not fit, and the next look tries again.
        return (state.context, .failure(error))
      }
    }
    switch outcome {
    case .success: onReload?(nil)
    case .failure(let error): onReload?(error)
    case nil: break
    }
    return context
  }

  convenience init(_ tls: ServerTLS, applicationProtocols: [String] = [TLSGate.http2]) throws(RPCError) {
    try self.init(
      files: [tls.certificateFile, tls.keyFile, tls.clientCAFile], interval: tls.reloadInterval, onReload: tls.onReload
    ) {
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: try NIOSSLCertificate.fromPEMFile(tls.certificateFile).map { .certificate($0) },
        privateKey: .privateKey(try NIOSSLPrivateKey(file: tls.keyFile, format: .pem)))
      configuration.minimumTLSVersion = .tlsv12
      configuration.shutdownTimeout = Self.shutdownTimeout
      configuration.applicationProtocols = applicationProtocols
      if let clientCAFile = tls.clientCAFile {
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(clientCAFile))
        configuration.certificateVerification = .noHostnameVerification
      }
      return try NIOSSLContext(configuration: configuration)
    }
  }

  convenience init(_ tls: ClientTLS) throws(RPCError) {
    try self.init(files: [tls.caFile, tls.certificateFile, tls.keyFile], interval: tls.reloadInterval, onReload: nil) {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.minimumTLSVersion = .tlsv12
      configuration.shutdownTimeout = Self.shutdownTimeout
      configuration.applicationProtocols = [TLSGate.http2]
      if let caFile = tls.caFile {
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(caFile))
      }
      if let certificateFile = tls.certificateFile, let keyFile = tls.keyFile {
        configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificateFile).map { .certificate($0) }
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
      }
      if !tls.verifiesServer { configuration.certificateVerification = .none }
      return try NIOSSLContext(configuration: configuration)
    }
  }
}

/// Stands in a new channel until TLS and HTTP/2 are agreed, then makes way for the connection.
final class TLSGate: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  static let http2 = "h2"

  private let timeout: TimeAmount
  private let opened: (ChannelHandlerContext) -> Void
  private let failed: (any Error) -> Void
  private var timer: Scheduled<Void>?
  private var isDone = false

  /// - Parameters:
  ///   - opened: called once, when the other side has agreed to HTTP/2.
  ///   - failed: called once, with why it did not come to that.
  init(timeout: Duration, opened: @escaping (ChannelHandlerContext) -> Void, failed: @escaping (any Error) -> Void) {
    self.timeout = TimeAmount(clamping: timeout)
    self.opened = opened
    self.failed = failed
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleTask(in: timeout) {
      let (gate, context) = bound.value
      gate.fail(ChannelError.connectTimeout(gate.timeout), context)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .handshakeCompleted(let agreed)? = event as? TLSUserEvent, !isDone else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    guard agreed == Self.http2 else {
      fail(TLSFailure(reason: "the other side does not offer HTTP/2 over TLS (ALPN \"h2\")"), context)
      return
    }
    isDone = true
    timer?.cancel()
    opened(context)
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

  func channelInactive(context: ChannelHandlerContext) {
    fail(ChannelError.eof, context)
    context.fireChannelInactive()
  }

  private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
    guard !isDone else { return }
    isDone = true
    timer?.cancel()
    failed(error)
    context.close(promise: nil)
  }
}

/// Why TLS was not agreed, in words.
struct TLSFailure: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }

  static func reason(_ error: any Error) -> String {
    switch error {
    case let failure as TLSFailure: failure.reason
    case NIOSSLError.handshakeFailed(let cause): "the TLS handshake failed (\(words(cause)))"
    case NIOSSLError.noSuchFilesystemObject: "a file does not exist"
    case NIOSSLError.failedToLoadCertificate: "a certificate cannot be read"
    case NIOSSLError.failedToLoadPrivateKey: "the private key cannot be read"
    case NIOSSLError.unableToValidateCertificate: "the certificate of the other side is not trusted"
    case let extra as NIOSSLExtraError where extra == .failedToValidateHostname:
      "the server's certificate is for another name"
    case ChannelError.eof: "the other side closed the connection during the TLS handshake"
    default: "\(error)"
    }
  }

  private static func words(_ cause: BoringSSLError) -> String {
    let text = "\(cause)"
    if text.contains("CERTIFICATE_VERIFY_FAILED") { return "the certificate of the other side is not trusted" }
    if text.contains("CERTIFICATE_REQUIRED") || text.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
      return "a client certificate is needed"
    }
    if text.contains("WRONG_VERSION_NUMBER") { return "the other side does not speak TLS" }
    return text
  }
}
