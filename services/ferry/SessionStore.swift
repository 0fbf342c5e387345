// The signed-in session, in a file that only its owner can read. A lock beside it keeps two commands from renewing with the
// same refresh token, which the server would take for theft.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import Glibc

struct SessionStore {
  /// Seconds before its end at which an access token is renewed.
  static let renewalMargin: Int64 = 30

  private let directory: String
  private var file: String { directory + "/session.json" }
  private var serverFile: String { directory + "/server" }

  init() throws {
    let environment = ProcessInfo.processInfo.environment
    if let home = environment["FERRY_HOME"], !home.isEmpty {
      directory = home
    } else if let config = environment["XDG_CONFIG_HOME"], !config.isEmpty {
      directory = config + "/fileferry"
    } else if let home = environment["HOME"], !home.isEmpty {
      directory = home + "/.config/fileferry"
    } else {
      throw ValidationError("Set FERRY_HOME to a folder where ferry may keep the session: HOME is not set.")
    }
  }

  /// Whom the session is with: a line for the address, and one for the authorities' file if there is one.
  struct SavedServer {
    var address: String
    var caFile: String?
  }

  func savedServer() -> SavedServer? {
    guard let text = try? String(contentsOfFile: serverFile, encoding: .utf8) else { return nil }  // none saved yet
    let lines = text.split(separator: "\n").map(String.init)
    return lines.first.map { SavedServer(address: $0, caFile: lines.count > 1 ? lines[1] : nil) }
  }

  func save(_ session: Session, server: SavedServer) throws {
    try makeDirectory()
    try write(session.jsonString(), to: file)
    try write([server.address, server.caFile].compactMap { $0 }.map { $0 + "\n" }.joined(), to: serverFile)
  }

  var holdsSession: Bool { access(file, R_OK) == 0 }

  func forget() {
    unlink(file)
  }

  /// The session, renewed first if `renew` returns another.
  func withSession(_ renew: (Session) async throws -> Session?) async throws -> Session {
    guard holdsSession else {
      printError("You are not signed in.")
      printError("Next: sign in with 'ferry login --user NAME'.")
      throw ExitCode(3)
    }
    let lock = open(directory + "/session.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    if lock >= 0 { flock(lock, LOCK_EX) }
    defer { if lock >= 0 { close(lock) } }
    let session = try Session(json: String(contentsOfFile: file, encoding: .utf8))
    guard let renewed = try await renew(session) else { return session }
    try write(renewed.jsonString(), to: file)
    return renewed
  }

  private func makeDirectory() throws {
    var path = ""
    for part in directory.split(separator: "/") {
      path += (path.isEmpty && !directory.hasPrefix("/") ? "" : "/") + part
      if mkdir(path, 0o700) != 0, errno != EEXIST {
        throw ValidationError("The folder \(path) cannot be made: \(String(cString: strerror(errno))).")
      }
    }
  }

  /// Writes beside and renames, so that a crash leaves the old file or the new one.
  private func write(_ text: String, to path: String) throws {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw ValidationError("\(temporary) cannot be written: \(String(cString: strerror(errno))).")
    }
    let bytes = Array(text.utf8)
    let written = Glibc.write(descriptor, bytes, bytes.count)
    close(descriptor)
    guard written == bytes.count, rename(temporary, path) == 0 else {
      throw ValidationError("\(path) cannot be written: \(String(cString: strerror(errno))).")
    }
  }
}
