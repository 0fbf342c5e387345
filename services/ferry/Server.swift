// Whom the commands talk to, and as whom: the gateway's address and the signed-in session, kept in a file of the user's.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import Glibc
import RPC

/// Options that every command takes.
struct ServerOptions: ParsableArguments {
  @Option(
    help: """
      FileFerry's gRPC address: HOST:PORT, or https://HOST:PORT over TLS. Default: FERRY_SERVER, else the one signed in \
      to, else 127.0.0.1:7100.
      """)
  var server: String?

  @Option(
    help: """
      PEM file of the certificate authorities to trust over TLS, in place of the system's. Default: FERRY_SERVER_CA_FILE, \
      else the one signed in with.
      """)
  var serverCaFile: String?

  @Flag(help: "Print proto3 JSON instead of text, for other programs.")
  var json = false
}

/// A running FileFerry, as the signed-in person sees it.
struct Server {
  let channel: ClientChannel
  let address: String
  private let caFile: String?
  private let store: SessionStore

  /// The longest a call may take that is not a stream.
  static let callTimeout: Duration = .seconds(60)
  /// A dry run lists all that is selected.
  static let planTimeout: Duration = .seconds(900)

  /// Bytes of one answer: the receipt of the largest delivery fits.
  static let maxAnswerSize = 32 << 20

  init(_ options: ServerOptions) throws {
    store = try SessionStore()
    let named = options.server ?? ProcessInfo.processInfo.environment["FERRY_SERVER"]
    let saved = store.savedServer()
    address = named ?? saved?.address ?? "127.0.0.1:7100"
    let namedFile = options.serverCaFile ?? ProcessInfo.processInfo.environment["FERRY_SERVER_CA_FILE"]
    caFile = namedFile.map(Self.absolute) ?? (address == saved?.address ? saved?.caFile : nil)
    let isTLS = address.hasPrefix(Self.secure)
    let parts = (isTLS ? String(address.dropFirst(Self.secure.count)) : address).split(separator: ":")
    guard parts.count >= 2, let port = parts.last.flatMap({ Int($0) }), (1...65535).contains(port) else {
      throw ValidationError("\(address) is not HOST:PORT, such as 127.0.0.1:7100, or https://HOST:PORT.")
    }
    guard isTLS || namedFile == nil else {
      throw ValidationError("Certificates count over TLS alone: write the address as https://\(address).")
    }
    var configuration = ClientConfiguration()
    if isTLS { configuration.tls = ClientTLS(caFile: caFile) }
    configuration.maxMessageSize = Self.maxAnswerSize
    channel = ClientChannel(
      host: parts.dropLast().joined(separator: ":"), port: port, configuration: configuration)
  }

  private static let secure = "https://"

  private static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  private func keep(_ session: Session) throws {
    try store.save(session, server: SessionStore.SavedServer(address: address, caFile: caFile))
  }

  /// Runs a command's calls and turns their errors into a sentence and an exit code.
  static func run(_ options: ServerOptions, _ body: (Server) async throws -> Void) async throws {
    let server = try Server(options)
    do {
      try await body(server)
      await server.channel.close()
    } catch let error as RPCError {
      await server.channel.close()
      throw Failure.report(error, address: server.address)
    }
  }

  // MARK: Calls

  /// Options of a call by the signed-in person. Renews the access token when it is about to end.
  func signedIn(timeout: Duration? = Server.callTimeout) async throws -> CallOptions {
    let session = try await store.withSession { [channel] session in
      let end = session.accessTokenExpiresAt?.seconds ?? 0
      guard end - Int64(time(nil)) < SessionStore.renewalMargin else { return nil }
      return try await Auth.Client(channel).refresh(
        .with { $0.refreshToken = session.refreshToken }, .timeout(Self.callTimeout))
    }
    return CallOptions(
      metadata: Metadata([("authorization", "Bearer " + session.accessToken)]), deadline: timeout.map { .after($0) })
  }

  /// A session is kept; whether it still counts, a call tells.
  var isSignedIn: Bool { store.holdsSession }

  func signIn(user: String, password: String) async throws -> Session {
    let session = try await Auth.Client(channel).signIn(
      .with {
        $0.userName = user
        $0.password = password
      }, .timeout(Self.callTimeout))
    try keep(session)
    return session
  }

  /// Signs in with a company's own account.
  /// - Parameter show: tells the person the address to open.
  func signIn(provider: String, show: (String) -> Void) async throws -> Session {
    let auth = Auth.Client(channel)
    let back = try await BrowserReturn.listen()
    do {
      let begun = try await auth.beginSingleSignOn(
        .with {
          $0.providerID = provider
          $0.redirectURI = back.redirectURI
        }, .timeout(Self.callTimeout))
      show(begun.authorizationURL)
      let left = (begun.expiresAt?.seconds ?? 0) - Int64(time(nil))
      let parameters = try await back.parameters(within: .seconds(max(1, left)))
      let session = try await auth.completeSingleSignOn(
        .with {
          $0.flow = begun.flow
          $0.state = parameters["state"] ?? ""
          $0.code = parameters["code"] ?? ""
          $0.error = parameters["error"] ?? ""
          $0.errorDescription = parameters["error_description"] ?? ""
        }, .timeout(Self.callTimeout))
      await back.close()
      try keep(session)
      return session
    } catch {
      await back.close()
      throw error
    }
  }

  func signOut() async throws {
    let session = try await store.withSession { _ in nil }
    _ = try await Auth.Client(channel).signOut(.with { $0.refreshToken = session.refreshToken }, signedIn())
    store.forget()
  }
}

/// What goes wrong with a call, told to a person.
enum Failure {
  static func report(_ error: RPCError, address: String) -> ExitCode {
    switch error.code {
    case .unavailable where !error.fromPeer:
      printError("FileFerry cannot be reached at \(address): \(error.message).")
      printError("Next: start it with 'ferry up', or name its address with --server HOST:PORT.")
      return ExitCode(4)
    case .unauthenticated:
      printError(error.message)
      printError("Next: \(error.problem?.nextStep ?? "sign in with 'ferry login'").")
      return ExitCode(3)
    default:
      printError(error.problem?.message ?? "\(error)")
      if let next = error.problem?.nextStep, !next.isEmpty { printError("Next: \(next)") }
      return ExitCode(error.code == .permissionDenied ? 3 : 1)
    }
  }
}
