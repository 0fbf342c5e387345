// deliver and plan: the form of the command line, and what happens after it is sent.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import RPC

/// What both commands take.
struct RequestOptions: ParsableArguments {
  @Argument(help: "s3://BUCKET/KEY for one object, s3://BUCKET/PREFIX/ for all under it; folder://BUCKET/KEY for a folder.")
  var source: String
  @Argument(
    help: """
      sftp://USER@HOST:PORT/PATH, or a saved destination: NAME, NAME:PATH below its folder, or NAME:/PATH from the \
      server's root. '/~/' is the login's home.
      """)
  var destination: String
  @Flag(help: "The source is a pattern: * and ? within a folder's name, ** across folders, [a-z], {csv,txt}.") var glob = false
  @Option(help: "Leave out what matches; without a slash, by the file's own name: '*.tmp'. May be repeated.")
  var exclude: [String] = []
  @Flag(help: "Put every file right into the destination's folder, without its own folders.") var flatten = false
  @Option(
    help: """
      Names at the destination: '{stem}-{date}.{ext}', from {path}, {folder}, {name}, {stem}, {ext}, {index}, {date}, \
      {time}, {ticket}, {group}, {environment}.
      """)
  var rename: String?
  @Option(help: "FIND=TEXT: put a text in the place of another in all names, before --rename. May be repeated.")
  var replace: [String] = []
  @Option(help: "lower or upper: letters of all names.") var letterCase: String?
  @Option(help: "gzip or zstd: compress the files on their way; automatic: gzip where a sample says that it pays.")
  var compress = "none"
  @Option(help: "How much work compressing may be: gzip 1 to 9 (default 6), zstd 1 to 19 (default 3).")
  var compressionLevel: Int32 = 0
  @Flag(name: .customLong("sha256-files"), help: "Beside each file its '.sha256', as 'sha256sum -c' reads it.")
  var sha256Files = false
  @Option(help: "Permissions of the delivered files, in octal: 0640. Default: the server's own.") var fileMode: String?
  @Option(help: "Permissions of folders that are made. Default: the server's own.") var folderMode: String?
  @Flag(help: "Give files the modification time that they have at the source.") var keepTimes = false
  @OptionGroup var bandwidth: BandwidthOptions
  @Option(
    help: "sha256; checksum: the server's own, though it be a CRC-32; or size: no more than that. The receipt says so.")
  var proof = "sha256"
  @Option(help: "Storage connection. Default: 'default' for s3://, else the scheme's name.") var connection: String?
  @Option(help: "dev, uat or prod.") var environment = "dev"
  @Option(help: "Assignment group of the tickets.") var group = ""
  @Option(help: "low, normal, high or critical.") var priority = "normal"
  @Option(help: "overwrite, skip-if-equal, keep-both (the new one gets a number) or fail: what to do where the file is there.") var onConflict = "overwrite"
  @Option(help: "Bytes that travel at once and are repeated at most after a crash. Default: 8 MiB.") var chunkSize: Int64 = 0
  @Option(help: "Title of the tickets. Default: written from the request.") var title = ""
  @OptionGroup var login: DestinationLogin

  func request() throws -> DeliveryRequest {
    let (destination, path) = Locations.destination(destination)
    return try .with {
      $0.assignmentGroup = group
      $0.environment = try FerryAPI.Environment.parse(environment, prefix: "ENVIRONMENT_")
      $0.priority = try Priority.parse(priority, prefix: "PRIORITY_")
      var source = try Locations.source(source, connection: connection)
      if glob { source.selections[0].kind = .glob }
      source.excludes = exclude
      $0.source = source
      var destination = destination
      try login.apply(to: &destination)
      $0.destination = destination
      $0.path = path
      $0.title = title
      $0.options = try .with {
        $0.onConflict = try OnConflict.parse(onConflict, prefix: "ON_CONFLICT_")
        $0.compression = try Compression.parse(compress, prefix: "COMPRESSION_")
        $0.compressionLevel = compressionLevel
        $0.chunkSize = chunkSize
        $0.folders = flatten ? .flatten : .keep
        $0.names = try names()
        $0.bandwidth = try bandwidth.caps()
        $0.fileMode = try Self.mode(fileMode)
        $0.folderMode = try Self.mode(folderMode)
        $0.keepTimes = keepTimes
        $0.checksumSidecar = sha256Files
        $0.proof = try Proof.parse(proof, prefix: "PROOF_")
      }
    }
  }
}

extension RequestOptions {
  fileprivate static func mode(_ text: String?) throws -> Int32 {
    guard let text else { return 0 }
    guard let mode = Int32(text, radix: 8), mode > 0 else {
      throw ValidationError("'\(text)' are no permissions: write them in octal, like 0640.")
    }
    return mode
  }

  /// Nil where names stay as they are.
  fileprivate func names() throws -> NameMapping? {
    guard rename != nil || !replace.isEmpty || letterCase != nil else { return nil }
    return try .with {
      $0.template = rename ?? ""
      $0.replacements = try replace.map { text in
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
          throw ValidationError("'\(text)' is not FIND=TEXT.")
        }
        return .with {
          ($0.find, $0.replace) = (String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
      }
      if let letterCase { $0.letterCase = try LetterCase.parse(letterCase, prefix: "LETTER_CASE_") }
    }
  }
}

/// How to log in at a destination that is spelled out.
struct DestinationLogin: ParsableArguments {
  @Option(help: "File with the private key to log in with.") var identity: String?
  @Option(help: "File with the private key's passphrase.") var passphraseFile: String?
  @Option(help: "File with the password to log in with. Default: FERRY_DESTINATION_PASSWORD.") var passwordFile: String?
  @Option(help: "Fingerprint of the host key, 'SHA256:...', or of an FTPS server's public key, 'sha256//...'; may be repeated.")
  var hostKey: [String] = []
  @Option(help: "OpenSSH known_hosts file with the server's host keys; they count like --host-key.") var knownHosts: String?
  @Flag(help: "Accept the key of a host never seen before. A changed key is always refused.") var acceptNewHostKey = false
  @Option(help: "FTPS: file with the certificates (PEM) to trust in place of the system's.") var caFile: String?
  @Flag(help: "FTP: let the server connect back for each file (active mode).") var active = false
  @Flag(help: "SFTP: let the server compute hashes by a shell command, where it can.") var allowHashCommand = false

  private func hostKeys() throws -> HostKeyPolicy? {
    guard !hostKey.isEmpty || acceptNewHostKey || knownHosts != nil else { return nil }
    return try .with {
      $0.fingerprints = hostKey
      $0.acceptNew = acceptNewHostKey
      if let knownHosts { $0.knownHosts = try Secret.contents(of: knownHosts) }
    }
  }

  /// Adds all but the credentials.
  func apply(to destination: inout Destination) throws {
    destination.hostKeys = try hostKeys()
    destination.active = active
    destination.allowHashCommand = allowHashCommand
    if let caFile { destination.trustedCertificates = try Secret.contents(of: caFile) + "\n" }
  }

  func credentials() throws -> DestinationCredentials? {
    var credentials = DestinationCredentials()
    if let identity { credentials.privateKey = try Secret.contents(of: identity) + "\n" }
    if let passphraseFile { credentials.passphrase = try Secret.contents(of: passphraseFile) }
    if let passwordFile {
      credentials.password = try Secret.contents(of: passwordFile)
    } else if let password = ProcessInfo.processInfo.environment["FERRY_DESTINATION_PASSWORD"] {
      credentials.password = password
    }
    return credentials == DestinationCredentials() ? nil : credentials
  }
}

struct Deliver: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Delivers objects to a server, and proves that every byte arrived.",
    discussion: """
      Examples:
        ferry deliver s3://exports/2026/report.csv sftp://acme@sftp.example.com/in/ --identity ~/.ssh/acme --watch
        ferry deliver s3://exports/2026/ acme:/in/2026/ --environment prod --priority high
        ferry deliver --glob 's3://exports/2026/**/*.csv' acme:/in/ --exclude '*-draft.csv' --flatten
        ferry deliver s3://exports/2026/report.csv acme:/in/ --also globex:/from-us/ --also initech
      """)

  @OptionGroup var options: ServerOptions
  @OptionGroup var request: RequestOptions
  @Option(help: "Another destination for the same files, which are read once for all. May be repeated.") var also: [String] = []
  @Flag(help: "Show the progress until it has ended.") var watch = false
  @Option(help: "The same key never starts a second delivery.") var idempotencyKey = ""

  func run() async throws {
    if !also.isEmpty { return try await startGroup() }
    let start = try StartDeliveryRequest.with {
      $0.request = try request.request()
      $0.credentials = try request.login.credentials()
      $0.idempotencyKey = idempotencyKey
    }
    try await Server.run(options) { server in
      let delivery = try await Transfer.Client(server.channel).startDelivery(start, server.signedIn())
      try await Self.show(delivery, server, json: options.json, watch: watch)
    }
  }

  private func startGroup() async throws {
    var wanted = try request.request()
    let credentials = try request.login.credentials()
    let first = DeliveryTarget.with { ($0.destination, $0.path) = (wanted.destination, wanted.path) }
    (wanted.destination, wanted.path) = (nil, "")
    var start = StartDeliveriesRequest.with { $0.idempotencyKey = idempotencyKey }
    start.request = wanted
    start.targets = try [first] + also.map { text in
      var (destination, path) = Locations.destination(text)
      try request.login.apply(to: &destination)
      return .with { ($0.destination, $0.path) = (destination, path) }
    }
    // A saved one has its own.
    for index in start.targets.indices where start.targets[index].destination?.url.isEmpty == false {
      start.targets[index].credentials = credentials
    }
    try await Server.run(options) { [start] server in
      let started = try await Transfer.Client(server.channel).startDeliveries(start, server.signedIn())
      if options.json, !watch { return print(started.jsonString()) }
      for delivery in started.deliveries {
        if !options.json { print("To       \(delivery.destination)") }
        try await Self.show(delivery, server, json: options.json, watch: false)
      }
      guard watch else { return }
      var failed: (any Error)?
      for delivery in started.deliveries {
        if !options.json { print("\nTo \(delivery.destination)") }
        // One that fails doesn't keep the others from being told.
        do { try await Progress.follow(delivery.id, server, json: options.json) } catch { failed = failed ?? error }
      }
      if let failed { throw failed }
    }
  }

  /// A delivery that has just been started, and its progress if that is wanted.
  static func show(_ delivery: Delivery, _ server: Server, json: Bool, watch: Bool) async throws {
    if json {
      if !watch { print(delivery.jsonString()) }
    } else {
      print("Delivery \(delivery.id)")
      if !delivery.userTicket.isEmpty {
        print("Tickets  \(delivery.userTicket) (yours), \(delivery.auditTicket) (audit)")
      }
      Output.flush()
    }
    if watch { try await Progress.follow(delivery.id, server, json: json) }
  }
}

struct Plan: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what a delivery would move, how long that would take, and what it would cost. Nothing is written.",
    discussion: "Example: ferry plan s3://exports/2026/ acme:/in/2026/")

  @OptionGroup var options: ServerOptions
  @OptionGroup var request: RequestOptions

  func run() async throws {
    let plan = try PlanDeliveryRequest.with {
      $0.request = try request.request()
      $0.credentials = try request.login.credentials()
    }
    try await Server.run(options) { server in
      let plan = try await Transfer.Client(server.channel).planDelivery(plan, server.signedIn(timeout: Server.planTimeout))
      guard !options.json else { return print(plan.jsonString()) }
      print("\(Printing.files(plan.files)), \(Printing.bytes(plan.bytes)), to \(plan.destination)")
      if plan.excluded > 0 { print("Without  \(Printing.files(plan.excluded)) that the excludes leave out") }
      PlanText.time(plan).map { print($0) }
      PlanText.costs(plan).forEach { print($0) }
      Printing.table(
        ["SIZE", "KEY", "TO"], plan.sample.map { [Printing.bytes($0.size), $0.key, $0.remotePath] })
      if plan.files > Int64(plan.sample.count) { print("... and \(plan.files - Int64(plan.sample.count)) more") }
      for warning in plan.warnings { printError("Note: \(warning.message) \(warning.nextStep)") }
      for problem in plan.problems {
        printError("\(problem.message)")
        if !problem.nextStep.isEmpty { printError("Next: \(problem.nextStep)") }
      }
      if !plan.problems.isEmpty { throw ExitCode(1) }
    }
  }
}
