// HTTP with an identity provider. Not over Transport's libcurl: that would map a dozen system libraries more into a service
// that is mostly asked for passwords and keys, 7 MB of its memory.
import AsyncHTTPClient
import NIOCore
import NIOSSL
import RPC
import ServiceKit

/// A request to an identity provider.
struct ProviderRequest: Sendable {
  var url: String
  var headers: [(name: String, value: String)] = [("Accept", "application/json")]
  /// Posted if it is there.
  var form: String?
}

struct ProviderResponse: Sendable {
  var status: Int
  var body: [UInt8]
}

/// Why there is no response, in a sentence.
struct ExchangeError: Error, Sendable, Equatable {
  var message: String
}

/// One provider's connections. Redirects are not followed: what a provider answers counts only where it was asked.
final class ProviderExchange: Sendable {
  static let timeout = TimeAmount.seconds(10)
  static let maximumAnswer = 1 << 20

  private let client: HTTPClient

  /// - Parameter caFile: PEM file of the authorities to trust in place of the system's.
  init(caFile: String?) {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: Self.timeout, read: Self.timeout)
    configuration.httpVersion = .http1Only
    if let caFile {
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.trustRoots = .file(caFile)
      configuration.tlsConfiguration = tls
    }
    client = HTTPClient(configuration: configuration)
  }

  func send(_ request: ProviderRequest) async throws(ExchangeError) -> ProviderResponse {
    do {
      var outgoing = HTTPClientRequest(url: request.url)
      outgoing.method = request.form == nil ? .GET : .POST
      for (name, value) in request.headers { outgoing.headers.add(name: name, value: value) }
      if let form = request.form { outgoing.body = .bytes(ByteBuffer(string: form)) }
      let response = try await client.execute(outgoing, timeout: Self.timeout)
      let body = try await response.body.collect(upTo: Self.maximumAnswer)
      return ProviderResponse(status: Int(response.status.code), body: Array(body.readableBytesView))
    } catch {
      throw ExchangeError(message: Self.why(error))
    }
  }

  func shutdown() async {
    // It fails only if it is shut down already.
    try? await client.shutdown()
  }

  private static func why(_ error: any Error) -> String {
    switch error {
    case is NIOTooManyBytesError: "its answer has more than \(maximumAnswer) bytes"
    case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded: "it did not answer in time"
    case is NIOSSLError, is BoringSSLError: "its certificate is not trusted, or TLS failed otherwise"
    default: "it can't be reached (\(String(describing: error).prefix(120)))"
    }
  }
}
