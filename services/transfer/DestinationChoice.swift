// Which server a request means: a saved destination by name, or one spelled out, and the path on it. Secrets of a saved
// destination never go to another server or login than the one they were saved for.
import Destinations
import FerryAPI
import FoundationEssentials
import RPC
import ServiceKit
import Transport

struct DestinationChoice: Sendable {
  static let maxURLBytes = 8192
  static let maxFingerprints = 16
  /// Of a password, private key or passphrase.
  static let maxSecretBytes = 32 * 1024
  /// Of certificates to trust.
  static let maxCertificateBytes = 64 * 1024

  /// With the path that files go to.
  var address: DestinationAddress
  /// The path ends in a slash, or is none at all: it means a folder.
  var isFolder: Bool
  var hostKeys: HostKeyPolicy
  var maxConnections: Int
  var ftp = FTPSettings()
  var allowsHashCommand = false
  private var folderRoots: [RemotePath] = []
  private var lockingServers = LockingServers()
  /// There is nobody to log in to.
  var isOfThisMachine: Bool { address.scheme == DestinationAddress.fileScheme }
  /// Of all deliveries to the server together.
  var bandwidth: BandwidthSchedule?
  /// Nil where the saved or given destination has none.
  var credentials: DestinationCredentials?

  /// - Parameters:
  ///   - given: credentials that came with the request; they count before saved ones.
  static func resolve(
    _ destination: FerryAPI.Destination?, path: String, given: DestinationCredentials?, store: DestinationStore
  ) async throws(RPCError) -> DestinationChoice {
    guard let destination, !destination.name.isEmpty || !destination.url.isEmpty else {
      throw .invalid(
        "The request names no destination.",
        next: "Give a saved destination's name, or a URL such as sftp://user@host/in/.")
    }
    try check(given)
    var choice: DestinationChoice
    if destination.name.isEmpty {
      choice = try spelledOut(destination)
      choice.credentials = given
    } else {
      choice = try await saved(destination, store)
      if let given { choice.credentials = given }
    }
    try choice.apply(path: path)
    choice.folderRoots = store.folderRoots
    choice.lockingServers = store.lockingServers
    if choice.isOfThisMachine {
      do throws(DestinationError) {
        _ = try DestinationRegistry.root(of: choice.address.path, among: store.folderRoots)
      } catch {
        throw .invalid(error.message, next: error.nextStep, problem: "DESTINATION_INVALID")
      }
    }
    return choice
  }

  static func spelledOut(_ destination: FerryAPI.Destination) throws(RPCError) -> DestinationChoice {
    let address = try parse(destination.url)
    var policy = destination.hostKeys ?? HostKeyPolicy()
    try check(policy, of: address)
    policy.fingerprints += try listed(in: policy.knownHosts, address)
    guard destination.trustedCertificates.utf8.count <= maxCertificateBytes else {
      throw .invalid(
        "The certificates to trust are over \(maxCertificateBytes) bytes.", next: "Give the CA's certificate alone.")
    }
    let trusted = destination.trustedCertificates.isEmpty ? nil : destination.trustedCertificates
    return DestinationChoice(
      address: address, isFolder: means(folder: destination.url, address), hostKeys: policy,
      maxConnections: try connections(destination.maxConnections),
      ftp: FTPSettings(active: destination.active, trustedCertificatesPEM: trusted),
      allowsHashCommand: destination.allowHashCommand,
      bandwidth: try destination.bandwidth.map { (wanted) throws(RPCError) in try RequestCheck.bandwidth(wanted) },
      credentials: nil)
  }

  private static func saved(
    _ wanted: FerryAPI.Destination, _ store: DestinationStore
  ) async throws(RPCError) -> DestinationChoice {
    guard let saved = try await store.load(wanted.name) else {
      throw .told(
        .notFound, "DESTINATION_UNKNOWN",
        "There is no destination named \(String(wanted.name.prefix(100)).debugDescription).",
        next: "Have an operator save one of that name, or spell the destination out.", subject: wanted.name)
    }
    var choice = try spelledOut(saved.destination)
    choice.credentials = saved.credentials
    if !wanted.url.isEmpty {
      let other = try parse(wanted.url)
      guard (other.scheme, other.user, other.host, other.port)
        == (choice.address.scheme, choice.address.user, choice.address.host, choice.address.port)
      else {
        throw .invalid(
          "The URL \(other) names another server or user than the saved destination \(wanted.name).",
          next: "Leave the name out to use that server, or give a URL that differs in its path alone.")
      }
      choice.address = other
      choice.isFolder = means(folder: wanted.url, other)
    }
    return choice
  }

  /// "/x" and "~/x" go instead of the destination's own path, anything else below it.
  private mutating func apply(path: String) throws(RPCError) {
    guard !path.isEmpty else { return }
    var rest = Substring(path)
    var base = address.path
    if rest.hasPrefix("/") {
      base = RemotePath(.root)
    } else if rest == "~" || rest.hasPrefix("~/") {
      base = RemotePath(.home)
      rest = rest.dropFirst()
    }
    while rest.hasPrefix("/") { rest = rest.dropFirst() }
    isFolder = rest.isEmpty || rest.hasSuffix("/")
    while rest.hasSuffix("/") { rest = rest.dropLast() }
    do throws(DestinationError) {
      let joined = rest.isEmpty ? base : try base.appending(String(rest))
      address = DestinationAddress(
        scheme: address.scheme, user: address.user, host: address.host, port: address.port, path: joined)
    } catch {
      throw .invalid(error.message, next: error.nextStep, problem: "NAME_UNSAFE")
    }
  }

  // MARK: Checks

  private static func parse(_ url: String) throws(RPCError) -> DestinationAddress {
    do throws(DestinationError) { return try DestinationAddress(url) } catch {
      throw .invalid(error.message, next: error.nextStep, problem: "DESTINATION_INVALID")
    }
  }

  private static func means(folder url: String, _ address: DestinationAddress) -> Bool {
    address.path.name == nil || url.hasSuffix("/")
  }

  private static func connections(_ wanted: Int32) throws(RPCError) -> Int {
    guard (0...Int32(DestinationSettings.maxConnections)).contains(wanted) else {
      throw .invalid(
        "\(wanted) connections were asked for.",
        next: "Give 1 to \(DestinationSettings.maxConnections), or 0 for \(DestinationSettings.defaultConnections).")
    }
    return wanted == 0 ? DestinationSettings.defaultConnections : Int(wanted)
  }

  private static func check(_ policy: HostKeyPolicy, of address: DestinationAddress) throws(RPCError) {
    guard policy.fingerprints.count <= maxFingerprints else {
      throw .invalid(
        "\(policy.fingerprints.count) host keys were given.", next: "Give at most \(maxFingerprints).")
    }
    for fingerprint in policy.fingerprints {
      let isRight = address.scheme == "sftp" ? SSHHostKey.normalized(fingerprint) != nil : isPin(fingerprint)
      guard !isRight else { continue }
      throw .invalid(
        "\(String(fingerprint.prefix(80)).debugDescription) is no fingerprint of a key of \(address.scheme).",
        next: address.scheme == "sftp"
          ? "Write it as ssh-keygen -lf prints it: SHA256: and 43 characters."
          : "Write it as the test of the destination shows it: sha256// and 44 characters.")
    }
  }

  /// The fingerprints that a known_hosts file has of the server. One without any is refused: it would pin nothing.
  private static func listed(in text: String, _ address: DestinationAddress) throws(RPCError) -> [String] {
    guard !text.isEmpty else { return [] }
    guard address.scheme == "sftp" else {
      throw .invalid(
        "A known_hosts file was given, and \(address.scheme) has no host keys.",
        next: "Pin the server's public key, as the test of the destination shows it.", problem: "DESTINATION_INVALID")
    }
    let file: KnownHosts
    do throws(KnownHosts.Malformed) { file = try KnownHosts(text) } catch {
      let place = error.line == 0 ? "The known_hosts file" : "Line \(error.line) of the known_hosts file"
      throw .invalid(
        "\(place) \(error.reason).", next: "Give the lines of this host alone, as ssh-keyscan prints them.",
        problem: "DESTINATION_INVALID")
    }
    let found = file.fingerprints(host: address.host, port: address.port)
    guard !found.isEmpty else {
      throw .invalid(
        "The known_hosts file has no key of \(address.endpoint) that counts.",
        next: "Add the host's lines, as ssh-keyscan prints them, or give its fingerprint.",
        problem: "DESTINATION_INVALID")
    }
    return found
  }

  /// "sha256//" and a SHA-256 in base64.
  private static func isPin(_ text: String) -> Bool {
    guard text.hasPrefix("sha256//"), text.utf8.count == 52 else { return false }
    return Data(base64Encoded: String(text.dropFirst(8)))?.count == 32
  }

  static func check(_ credentials: DestinationCredentials?) throws(RPCError) {
    guard let credentials else { return }
    let longest = [credentials.password, credentials.privateKey, credentials.passphrase].map(\.utf8.count).max() ?? 0
    guard longest <= maxSecretBytes else {
      throw .invalid(
        "A password or key of the destination is over \(maxSecretBytes) bytes.", next: "Check what was pasted there.")
    }
  }

  // MARK: Use

  /// Where files go, without secrets.
  var url: String { address.description }

  /// - Parameter folderMode: permission bits of folders that are made; nil: the server's own.
  func settings(known: [String], folderMode: UInt16? = nil) -> DestinationSettings {
    let given = credentials ?? DestinationCredentials()
    func some(_ text: String) -> String? { text.isEmpty ? nil : text }
    var settings = DestinationSettings(
      address,
      secrets: DestinationSecrets(
        password: some(given.password), privateKey: some(given.privateKey), passphrase: some(given.passphrase)),
      hostKeys: SSHHostKeyPolicy(pinned: hostKeys.fingerprints, known: known, acceptNew: hostKeys.acceptNew),
      maxConnections: maxConnections,
      ftp: FTPSettings(
        active: ftp.active, trustedCertificatesPEM: ftp.trustedCertificatesPEM,
        pinnedPublicKeys: hostKeys.fingerprints.isEmpty ? known : hostKeys.fingerprints),
      remoteHash: allowsHashCommand ? .whereOffered : .never,
      folderMode: folderMode)
    settings.folderRoots = folderRoots
    settings.lockingServers = lockingServers
    return settings
  }
}
