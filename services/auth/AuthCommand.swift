// The program ferry-auth: serves by default; a second command is the way back in when the administrator's password is
// lost.
import ArgumentParser
import DocumentStore
import FerryAPI
import FoundationEssentials
import RPC
import ServiceKit

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

@main
struct AuthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-auth", abstract: "People, roles, sessions, and the keys of access tokens.",
    subcommands: [Serve.self, ResetAdminPassword.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the service.",
    discussion: """
      On its first start it makes the user "admin" and prints the password once to standard output. Should that line \
      be lost, stop the service and run: ferry-auth reset-admin-password --data DIR
      """)

  @OptionGroup var service: ServiceOptions
  @OptionGroup var peers: PeerOptions

  @Option(help: "Folder with one file NAME.secret a service, which services prove themselves with.")
  var serviceSecrets: String?

  @Option(help: "File with the first administrator's password; without it one is made up.")
  var firstAdminPasswordFile: String?

  @Option(help: "JSON file of the identity providers that people may sign in with. [environment: FERRY_IDENTITY_PROVIDERS]")
  var identityProviders: String?

  func run() async throws {
    let file = identityProviders ?? ProcessInfo.processInfo.environment["FERRY_IDENTITY_PROVIDERS"] ?? ""
    let settings = file.isEmpty ? [] : try IdentityProviderSettings.load(file)
    let keys = try await SigningKeys(folder: try service.dataFolder(for: "auth"))
    try await runService(
      name: "auth", options: service, peers: peers, files: [FerryFiles.auth],
      fetchKeys: { () async throws(RPCError) in keys.jwksJSON }
    ) { environment in
      let users = UserStore(store: try await environment.openStore(), logger: environment.logger)
      let passwords = Passwords()
      let first = FirstAdministrator(users: users, passwords: passwords, logger: environment.logger)
      if let sentence = try await first.makeIfMissing(passwordFile: firstAdminPasswordFile) {
        print(sentence)
        // At once, also where standard output is a file: the process may be killed before its buffer is written.
        fflush(nil)
      }
      let logger = environment.logger
      let singleSignOn = SingleSignOn(
        providers: settings.map { settings in
          let exchange = ProviderExchange(caFile: settings.caFile)
          environment.onShutdown { await exchange.shutdown() }
          return OpenIDProvider(settings, logger: logger, now: SystemTime.now) { (request) async throws(ExchangeError) in
            try await exchange.send(request)
          }
        }, users: users, box: environment.secretBox, logger: logger)
      return AuthService(
        users: users, passwords: passwords,
        sessions: Sessions(store: users.store, logger: environment.logger),
        tokens: AccessTokens(keys: keys), secrets: ServiceSecrets(folder: serviceSecrets), singleSignOn: singleSignOn,
        logger: logger
      ).router()
    }
  }
}

struct ResetAdminPassword: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give the user \"admin\" a new password, the role admin, and access again. Stop the service first.")

  @Option(help: "The service's data folder.")
  var data: String

  @Option(help: "File with the new password; without it one is made up and printed.")
  var passwordFile: String?

  func run() async throws {
    let path = data + "/auth.sqlite"
    guard PrivateFile.exists(path) else {
      throw ServiceFailure("There is no user database in \(data).", nextStep: "Name the data folder of ferry-auth.")
    }
    let store = try SQLiteDocumentStore(path: path)
    let users = UserStore(store: store, logger: nil)
    let first = FirstAdministrator(users: users, passwords: Passwords(), logger: nil)
    print(try await first.reset(passwordFile: passwordFile))
    try await store.close()
  }
}
