// TLS of the gateway's two ports with the user's own certificate, read again when its files change.
import ArgumentParser
import FoundationEssentials
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RPC

struct TLSFiles: ParsableArguments {
  @Option(
    help: """
      PEM file of the certificate that both ports show, and those between it and its authority. Without it, they speak \
      no TLS. [environment: FERRY_TLS_CERTIFICATE_FILE]
      """)
  var tlsCertificateFile = Self.environment("FERRY_TLS_CERTIFICATE_FILE")

  @Option(help: "PEM file of the certificate's private key. [environment: FERRY_TLS_KEY_FILE]")
  var tlsKeyFile = Self.environment("FERRY_TLS_KEY_FILE")

  private static func environment(_ name: String) -> String {
    ProcessInfo.processInfo.environment[name] ?? ""
  }

  func validate() throws {
    guard tlsCertificateFile.isEmpty == tlsKeyFile.isEmpty else {
      throw ValidationError("TLS needs both files: give --tls-certificate-file and --tls-key-file.")
    }
  }

  /// Nil: no TLS.
  func serverTLS(_ logger: Logger) -> ServerTLS? {
    guard !tlsCertificateFile.isEmpty else { return nil }
    return ServerTLS(certificateFile: tlsCertificateFile, keyFile: tlsKeyFile) { error in
      if let error {
        logger.error("the changed certificate is not used", metadata: ["error": "\(error.message)"])
      } else {
        logger.notice("the changed certificate is used from now on")
      }
    }
  }
}

/// HTTP/1.1 over TLS.
struct HTTPSChannel: ServerChildChannel, HTTPChannelHandler {
  static let applicationProtocols = ["http/1.1"]

  private let base: HTTP1Channel
  private let acceptor: TLSAcceptor

  init(_ base: HTTP1Channel, _ acceptor: TLSAcceptor) {
    (self.base, self.acceptor) = (base, acceptor)
  }

  var responder: HTTPChannelHandler.Responder { base.responder }

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
    channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandler(acceptor.makeHandler())
    }.flatMap { base.setup(channel: channel, logger: logger) }
  }

  func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
