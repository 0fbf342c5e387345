// The last step of a delivery: the proven .part file gets its name. In one step where the server can; else the old file
// steps aside under a name of its own, which is put back after a failure here, or by the next delivery after a crash.
import Transport

extension SFTPPool {
  /// A connection that is lost on the way leaves open whether the rename was done: the server is asked again.
  nonisolated func rename(_ path: RemotePath, size: Int64, overwrite: Bool) async throws(DestinationError) {
    var doubt = false
    while true {
      let asked = doubt
      do throws(DestinationError) {
        return try await withConnection(repeatable: false) { (connection) async throws(SFTPError) in
          if asked, try await connection.isRenamed(path, size: size) { return }
          if overwrite { try await connection.replace(path) } else { try await connection.claim(path) }
        }
      } catch {
        if error.kind != .unreachable || asked { throw error }
        doubt = true
      }
    }
  }
}

extension SFTPConnection {
  fileprivate func isRenamed(_ path: RemotePath, size: Int64) throws(SFTPError) -> Bool {
    let (part, file) = (try attributes(of: path.part.text), try attributes(of: path.text))
    return part == nil && file?.size == size
  }

  /// Gives the file a name that must be free. OpenSSH's own rename refuses a taken one without a gap; for other servers
  /// the question beforehand has to do.
  fileprivate func claim(_ path: RemotePath) throws(SFTPError) {
    func conflict() -> SFTPError {
      SFTPError(
        .alreadyExists, "\(path) already exists at \(endpoint).",
        nextStep: "Choose another name, or allow overwriting.")
    }
    if try attributes(of: path.text, followLinks: false) != nil { throw conflict() }
    do throws(SFTPError) { try rename(path.part.text, to: path.text) } catch {
      if isUsable, try attributes(of: path.part.text) != nil, try attributes(of: path.text, followLinks: false) != nil {
        throw conflict()
      }
      throw error
    }
  }

  fileprivate func replace(_ path: RemotePath) throws(SFTPError) {
    if try attributes(of: path.text, followLinks: false)?.isDirectory == true {
      throw SFTPError(
        .alreadyExists, "\(path) at \(endpoint) is a folder.", nextStep: "Choose another name for the file.")
    }
    if try extensions()[Self.posixRename] != nil { return try replace(path.text, with: path.part.text) }
    try replaceInSteps(path)
  }

  /// Without posix-rename@openssh.com there is a moment, between two requests, without the file.
  func replaceInSteps(_ path: RemotePath) throws(SFTPError) {
    guard try attributes(of: path.text, followLinks: false) != nil else {
      return try rename(path.part.text, to: path.text)
    }
    try removeIfPresent(path.replaced.text)
    try rename(path.text, to: path.replaced.text)
    do throws(SFTPError) { try rename(path.part.text, to: path.text) } catch {
      // The first failure is the one to tell; if this fails too, the next delivery puts the file back.
      if isUsable { try? rename(path.replaced.text, to: path.text) }
      throw error
    }
    try removeIfPresent(path.replaced.text)
  }

  /// Mends what a crash inside `replaceInSteps` left: an old file without its name gets it back, one that was replaced
  /// goes.
  func recoverReplaced(_ path: RemotePath) throws(SFTPError) {
    let replaced = path.replaced.text
    guard try attributes(of: replaced, followLinks: false) != nil else { return }
    if try attributes(of: path.text, followLinks: false) == nil {
      try rename(replaced, to: path.text)
    } else {
      try remove(replaced)
    }
  }
}
