// rpc-interop-client: runs one case of gRPC's "Interoperability Test Case Descriptions" with our client against
// anyone's server. Exits 0 if the case passes, and 1 with a sentence if not. Test code only.
import ArgumentParser
import RPC

@main
struct InteropClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-interop-client",
    abstract: "Runs one of gRPC's interoperability cases against a server of grpc.testing.TestService.")

  @Option(help: "Address or name of the server.")
  var host = "127.0.0.1"

  @Option(help: "Port of the server.")
  var port: Int

  @Option(name: .customLong("case"), help: "Name of the case.")
  var interopCase: InteropCase

  @Option(help: "Calls that rpc_soak and channel_soak make.")
  var iterations = Soak.defaultIterations

  @OptionGroup var tls: TLSOptions

  func validate() throws {
    guard iterations > 0 else { throw ValidationError("--iterations takes 1 or more.") }
  }

  func run() async throws {
    var configuration = ClientConfiguration()
    configuration.tls = tls.clientTLS
    if tls.tls, tls.ca == nil {
      tellOnStandardError("No --ca is given, so any certificate is accepted: the server may be anyone.")
    }
    let peer = Peer(host: host, port: port, configuration: configuration, iterations: iterations)
    do {
      try await peer.withChannel { try await interopCase.run($0, peer) }
    } catch {
      tellOnStandardError("\(interopCase.rawValue): \(error)")
      throw ExitCode.failure
    }
  }
}

struct TLSOptions: ParsableArguments {
  @Flag(help: "Connect with TLS.")
  var tls = false

  @Option(help: "PEM file of the authorities that may vouch for the server; without it any certificate is accepted.")
  var ca: String?

  @Option(help: "PEM file of the certificate to show to a server that asks for one.")
  var certificate: String?

  @Option(help: "PEM file of that certificate's key.")
  var key: String?

  @Option(help: "Name to expect in the server's certificate, if it is not the host.")
  var serverName: String?

  func validate() throws {
    guard (certificate == nil) == (key == nil) else {
      throw ValidationError("--certificate and --key go together.")
    }
    guard tls || (ca == nil && certificate == nil && serverName == nil) else {
      throw ValidationError("--ca, --certificate, --key and --server-name need --tls.")
    }
  }

  var clientTLS: ClientTLS? {
    guard tls else { return nil }
    return ClientTLS(
      caFile: ca, certificateFile: certificate, keyFile: key, serverName: serverName, verifiesServer: ca != nil)
  }
}

/// The server under test, for cases that need more than one connection to it.
struct Peer: Sendable {
  let host: String
  let port: Int
  let configuration: ClientConfiguration
  let iterations: Int

  /// A channel of its own, closed afterwards.
  func withChannel(_ body: (ClientChannel) async throws -> Void) async throws {
    let channel = ClientChannel(host: host, port: port, configuration: configuration)
    do {
      try await body(channel)
    } catch {
      await channel.close()
      throw error
    }
    await channel.close()
  }
}
