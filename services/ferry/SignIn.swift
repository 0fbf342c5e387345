// login, logout, whoami, and how a password gets in without showing on the screen or in the process list.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import Glibc

enum Secret {
  /// From a file if one is named, else from the environment, else asked for on the terminal.
  static func password(file: String?, environment name: String, prompt: String) throws -> String {
    if let file { return try contents(of: file) }
    if let value = ProcessInfo.processInfo.environment[name], !value.isEmpty { return value }
    guard isatty(0) == 1 else {
      throw ValidationError("There is no terminal to ask for a password: set \(name) or name a file.")
    }
    return try ask(prompt)
  }

  /// More than any file that a command reads: the proof of the largest delivery is half of it.
  private static let maxFileBytes = 64 << 20

  /// A file's text without the newline at its end; a pipe does as well. "-" is standard input.
  static func contents(of file: String) throws -> String {
    let descriptor = file == "-" ? dup(0) : open(file, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(file, String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(file, String(cString: strerror(errno))) }
      if count == 0 { break }
      bytes += piece[..<count]
      guard bytes.count <= maxFileBytes else { throw unreadable(file, "it has more than \(maxFileBytes) bytes") }
    }
    guard var text = String(validating: bytes, as: UTF8.self) else { throw unreadable(file, "it is not UTF-8") }
    if text.hasSuffix("\n") { text.removeLast() }
    return text
  }

  private static func unreadable(_ file: String, _ why: String) -> ValidationError {
    ValidationError("\(file == "-" ? "Standard input" : file) cannot be read as text: \(why).")
  }

  static func ask(_ prompt: String) throws -> String {
    printError(prompt)
    var saved = termios()
    tcgetattr(0, &saved)
    var hidden = saved
    hidden.c_lflag &= ~tcflag_t(ECHO)
    tcsetattr(0, TCSANOW, &hidden)
    defer { tcsetattr(0, TCSANOW, &saved) }
    guard let line = readLine(), !line.isEmpty else { throw ValidationError("No password was typed.") }
    return line
  }
}

struct Login: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Signs in and keeps the session.",
    discussion: """
      Example: ferry login --user ada
      With your company's account, in a browser on this machine: ferry login --sso microsoft
      """)

  @OptionGroup var options: ServerOptions
  @Option(help: "User name.") var user: String?
  @Option(help: "File that holds the password; '-' for standard input. Default: FERRY_PASSWORD, else it is asked for.")
  var passwordFile: String?
  @Option(help: "Identity provider to sign in with, in a browser on this machine: its id, such as aws or microsoft.")
  var sso: String?

  func validate() throws {
    guard (user == nil) != (sso == nil) else {
      throw ValidationError("Say who signs in: --user NAME, or --sso PROVIDER for your company's account.")
    }
    guard sso == nil || passwordFile == nil else { throw ValidationError("--sso takes no password.") }
  }

  func run() async throws {
    var password = ""
    if let user {
      password = try Secret.password(file: passwordFile, environment: "FERRY_PASSWORD", prompt: "Password of \(user):")
    }
    try await Server.run(options) { server in
      let session: Session
      if let sso {
        session = try await server.signIn(provider: sso) { address in
          // Not on standard output, which is another program's with --json.
          printError("Open this address in a browser on this machine, and sign in there:")
          printError(address)
        }
      } else {
        session = try await server.signIn(user: user ?? "", password: password)
      }
      if options.json {
        print(session.user?.jsonString() ?? "{}")
      } else {
        print("Signed in to \(server.address) as \(session.user?.userName ?? "").")
      }
    }
  }
}

struct Logout: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ends the session.", discussion: "Example: ferry logout")
  @OptionGroup var options: ServerOptions

  func run() async throws {
    try await Server.run(options) { server in
      try await server.signOut()
      print("Signed out.")
    }
  }
}

struct WhoAmI: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "whoami", abstract: "Shows who is signed in, and with which roles.", discussion: "Example: ferry whoami")
  @OptionGroup var options: ServerOptions

  func run() async throws {
    try await Server.run(options) { server in
      let user = try await Auth.Client(server.channel).whoAmI(WhoAmIRequest(), server.signedIn())
      guard !options.json else { return print(user.jsonString()) }
      let roles = user.roles.map(Printing.name).joined(separator: ", ")
      print("\(user.userName) (\(user.person?.name ?? "")), roles: \(roles)")
    }
  }
}

struct UserCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "user", abstract: "Adds and lists people (role admin).", subcommands: [Add.self, All.self],
    defaultSubcommand: All.self)

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Adds a person.",
      discussion: "Example: ferry user add ada --name 'Ada Lovelace' --email ada@example.com --role requester")
    @OptionGroup var options: ServerOptions
    @Argument(help: "User name to sign in with.") var userName: String
    @Option(help: "Full name.") var name: String
    @Option(help: "Address for notifications.") var email = ""
    @Option(help: "requester, approver, operator, auditor or admin; may be repeated.") var role: [String] = ["requester"]
    @Option(help: "File that holds the first password. Default: FERRY_NEW_PASSWORD, else it is asked for.")
    var passwordFile: String?

    func run() async throws {
      let roles = try role.map { try Role.parse($0, prefix: "ROLE_") }
      let password = try Secret.password(
        file: passwordFile, environment: "FERRY_NEW_PASSWORD", prompt: "First password of \(userName):")
      try await Server.run(options) { server in
        let user = try await Auth.Client(server.channel).createUser(
          .with {
            $0.userName = userName
            $0.name = name
            $0.email = email
            $0.roles = roles
            $0.password = password
          }, server.signedIn())
        print(options.json ? user.jsonString() : "Added \(user.userName).")
      }
    }
  }

  struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists people.", discussion: "Example: ferry user list")
    @OptionGroup var options: ServerOptions

    func run() async throws {
      try await Server.run(options) { server in
        let users = try await Auth.Client(server.channel).listUsers(ListUsersRequest(), server.signedIn())
        guard !options.json else { return print(users.jsonString()) }
        Printing.table(
          ["USER", "NAME", "EMAIL", "ROLES", "STATE"],
          users.users.map { user in
            [
              user.userName, user.person?.name ?? "", user.person?.email ?? "",
              user.roles.map(Printing.name).joined(separator: ","), user.disabled ? "disabled" : "active",
            ]
          })
      }
    }
  }
}
