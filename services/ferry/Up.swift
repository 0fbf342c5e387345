// ferry up: the whole system on one machine. It makes the services' secrets, starts the seven services, waits until all of
// them answer, starts again what dies, and stops all of them when it is stopped.
import ArgumentParser
import Crypto
import FoundationEssentials
import Glibc
import RPC

struct Up: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Starts all services of FileFerry on this machine and keeps them running.",
    discussion: """
      Example: ferry up --data ~/fileferry

      On the first start the first administrator is made and the password is shown once. Stop with Ctrl-C.
      """)

  @Option(help: "Folder for all state; made if missing. Default: FERRY_DATA, else ~/.local/share/fileferry.")
  var data: String?
  @Option(help: "Address that all services listen on.") var host = "127.0.0.1"
  @Option(help: "Port of the gateway's gRPC side; the six other services take the ports after it.") var basePort = 7100
  @Option(help: "Port of the web page and the REST API.") var httpPort = 7080
  @Option(help: "PEM file of the certificate for the web page and the gRPC port. Without it, they speak no TLS.")
  var tlsCertificateFile: String?
  @Option(help: "PEM file of the certificate's private key.") var tlsKeyFile: String?
  @Option(help: "debug, info, warning or error.") var logLevel = "info"
  @Option(help: "File with the first administrator's password, instead of a made one that is shown once.")
  var firstAdminPasswordFile: String?
  @Option(help: "JSON file of the identity providers that people may sign in with (single sign-on).")
  var identityProviders: String?
  @Option(help: "Mail server for notifications, such as smtp://mail.example.com:25.") var smtpUrl: String?
  @Option(help: "User name at the mail server.") var smtpUser: String?
  @Option(help: "File with the password at the mail server.") var smtpPasswordFile: String?
  @Option(help: "Sender of mails.") var mailFrom: String?
  @Option(help: "File with the address of a Microsoft Teams webhook.") var teamsWebhookUrlFile: String?
  @Option(help: "A folder of this machine that deliveries may write to, as file:///PATH. May be repeated.")
  var folderRoot: [String] = []
  @Option(help: "Seconds that a delivery keeps trying what may work later, such as a lost connection.")
  var retryBudgetSeconds: Int?
  @Option(help: "Deliveries under way at once; the rest waits, the most urgent first. Default: 32.") var maxDeliveries: Int?

  /// Each service's name, and its port's distance from the base port. The gateway comes last: it shows what the others do.
  static let services: [(name: String, offset: Int)] = [
    ("auth", 1), ("ticketing", 2), ("storage-broker", 3), ("transfer", 4), ("notification", 5), ("assist", 6),
    ("gateway", 0),
  ]
  static let readyTimeout: Duration = .seconds(30)

  func validate() throws {
    guard (1...65529).contains(basePort), (1...65535).contains(httpPort) else {
      throw ValidationError("Ports lie between 1 and 65535, and six more follow the base port.")
    }
    guard (tlsCertificateFile == nil) == (tlsKeyFile == nil) else {
      throw ValidationError("TLS needs both files: give --tls-certificate-file and --tls-key-file.")
    }
  }

  func run() async throws {
    let directory = try dataDirectory()
    let folders = try DataFolders(root: directory)
    try folders.lock()
    for (name, _) in Self.services { try folders.makeSecret(of: name) }

    let stop = StopSignal()
    let binaries = try Executables.directory()
    let supervisors = try Self.services.map { name, offset in
      Supervisor(
        name: name, executable: binaries + "/ferry-" + name,
        arguments: arguments(of: name, port: basePort + offset, folders: folders), log: try folders.log(of: name),
        pidFile: folders.pidFile(of: name))
    }
    for supervisor in supervisors { try supervisor.start() }
    let waiting = Task { await announce(directory, folders) }
    await stop.wait()
    waiting.cancel()
    print("Stopping.")
    for supervisor in supervisors.reversed() { supervisor.stop() }
    for supervisor in supervisors.reversed() { await supervisor.ended() }
    print("Stopped.")
  }

  private func dataDirectory() throws -> String {
    let environment = ProcessInfo.processInfo.environment
    if let data { return absolute(data) }
    if let data = environment["FERRY_DATA"], !data.isEmpty { return absolute(data) }
    guard let home = environment["HOME"], !home.isEmpty else {
      throw ValidationError("Name a folder for the data with --data: HOME is not set.")
    }
    return home + "/.local/share/fileferry"
  }

  private func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  private func arguments(of service: String, port: Int, folders: DataFolders) -> [String] {
    var list = ["--host", host, "--port", "\(port)", "--data", folders.data(of: service), "--log-level", logLevel]
    list += ["--service-secret-file", folders.secret(of: service)]
    for (name, offset) in Self.services where name != "gateway" && name != service {
      list += ["--" + name, "\(host):\(basePort + offset)"]
    }
    func add(_ option: String, _ value: String?) {
      if let value { list += [option, value] }
    }
    switch service {
    case "auth":
      list += ["--service-secrets", folders.secrets]
      add("--first-admin-password-file", firstAdminPasswordFile.map(absolute))
      add("--identity-providers", identityProviders.map(absolute))
    case "transfer":
      add("--retry-budget-seconds", retryBudgetSeconds.map(String.init))
      add("--max-deliveries", maxDeliveries.map(String.init))
      for folder in folderRoot { add("--folder-root", absolute(folder)) }
    case "notification":
      add("--smtp-url", smtpUrl)
      add("--smtp-user", smtpUser)
      add("--smtp-password-file", smtpPasswordFile.map(absolute))
      add("--mail-from", mailFrom)
      add("--teams-webhook-url-file", teamsWebhookUrlFile.map(absolute))
    case "gateway":
      list += ["--http-port", "\(httpPort)"]
      add("--tls-certificate-file", tlsCertificateFile.map(absolute))
      add("--tls-key-file", tlsKeyFile.map(absolute))
    default: break
    }
    return list
  }

  /// Says so once all services answer their health checks.
  private func announce(_ directory: String, _ folders: DataFolders) async {
    let clock = ContinuousClock()
    let began = clock.now
    let silent = await withTaskGroup(of: String?.self) { group in
      for (name, offset) in Self.services {
        group.addTask {
          var configuration = ClientConfiguration.quickReconnect
          // Only whether it answers is asked, on this machine, whatever name its certificate has.
          if name == "gateway", tlsCertificateFile != nil { configuration.tls = ClientTLS(verifiesServer: false) }
          let channel = ClientChannel(host: host, port: basePort + offset, configuration: configuration)
          let options = CallOptions(deadline: .after(Self.readyTimeout), waitForReady: true)
          let answer = try? await channel.unary(Health.check, HealthCheckRequest(), options)  // silence is the finding
          await channel.close()
          return answer?.status == .serving ? nil : name
        }
      }
      return await group.reduce(into: [String]()) { if let name = $1 { $0.append(name) } }
    }
    guard !Task.isCancelled else { return }
    guard silent.isEmpty else {
      printError("Not ready after \(Self.readyTimeout): \(silent.sorted().joined(separator: ", ")).")
      for name in silent.sorted() {
        if let words = folders.lastWords(of: name) { printError("\(name): \(words)") }
      }
      printError("Next: mend that, or look into \(directory)/logs for more.")
      return
    }
    let took = began.duration(to: clock.now)
    let milliseconds = took.components.seconds * 1000 + took.components.attoseconds / 1_000_000_000_000_000
    let scheme = tlsCertificateFile == nil ? "http" : "https"
    print("FileFerry is ready: \(scheme)://\(host):\(httpPort)  (gRPC \(host):\(basePort), after \(milliseconds) ms)")
    Output.flush()
  }
}

extension ClientConfiguration {
  /// For a server that is just starting on this machine.
  static var quickReconnect: ClientConfiguration {
    var configuration = ClientConfiguration()
    configuration.initialBackoff = .milliseconds(10)
    configuration.maxBackoff = .milliseconds(50)
    return configuration
  }
}
