// The last step of a delivery: the proven .part file gets its name. In one step where the server can; else the old file
// steps aside under a name of its own, which is put back after a failure here, or by the next delivery after a crash.
import Transport

extension SFTPPool {
  /// A connection that is lost on the way leaves open whether the rename was done: the server is asked again.
  /// `handle`: the .part file's on a connection (by its number), closed on the way.
  nonisolated func rename(
    _ path: RemotePath, size: Int64, overwrite: Bool, closing handle: SFTPHandle?, on number: Int?
  ) async throws(DestinationError) {
    var doubt = false
    while true {
      let asked = doubt
      do throws(DestinationError) {
        return try await withConnection(
          preferring: number.map { [$0] } ?? [], repeatable: false
        ) { (connection) async throws(SFTPError) in
          if asked, try await connection.isRenamed(path, size: size) { return }
          let handle = asked || connection.number != number ? nil : handle
          if overwrite {
            try await connection.replace(path, closing: handle)
          } else {
            if let handle { try await connection.close(handle) }
            try await connection.claim(path)
          }
        }
      } catch {
        if error.kind != .unreachable || asked { throw error }
        doubt = true
      }
    }
  }
}

extension SFTPConnection {
  fileprivate func isRenamed(_ path: RemotePath, size: Int64) async throws(SFTPError) -> Bool {
    let (part, file) = (try await attributes(of: path.part.text), try await attributes(of: path.text))
    return part == nil && file?.size == size
  }

  /// Gives the file a name that must be free. OpenSSH's own rename refuses a taken one without a gap; for other servers
  /// the question beforehand has to do.
  fileprivate func claim(_ path: RemotePath) async throws(SFTPError) {
    func conflict() -> SFTPError {
      SFTPError(
        .alreadyExists, "\(path) already exists at \(endpoint).",
        nextStep: "Choose another name, or allow overwriting.")
    }
    if try await attributes(of: path.text, followLinks: false) != nil { throw conflict() }
    do throws(SFTPError) { try await rename(path.part.text, to: path.text) } catch {
      if isUsable, try await attributes(of: path.part.text) != nil,
        try await attributes(of: path.text, followLinks: false) != nil {
        throw conflict()
      }
      throw error
    }
  }

  fileprivate func replace(_ path: RemotePath, closing handle: SFTPHandle?) async throws(SFTPError) {
    do throws(SFTPError) {
      if try extensions()[Self.posixRename] == nil {
        if let handle { try await close(handle) }
        try await replaceInSteps(path)
      } else if let handle {
        try await close(handle, andReplace: path.text)
      } else {
        try await replace(path.text, with: path.part.text)
      }
    } catch {
      guard isUsable, try await attributes(of: path.text, followLinks: false)?.isDirectory == true else { throw error }
      throw Self.isAFolder(path, endpoint)
    }
  }

  static func isAFolder(_ path: RemotePath, _ endpoint: SSHEndpoint) -> SFTPError {
    SFTPError(
      .alreadyExists, "\(path) at \(endpoint) is a folder.", nextStep: "Choose another name for the file.")
  }

  /// Without posix-rename@openssh.com there is a moment, between two requests, without the file.
  func replaceInSteps(_ path: RemotePath) async throws(SFTPError) {
    guard let found = try await attributes(of: path.text, followLinks: false) else {
      return try await rename(path.part.text, to: path.text)
    }
    if found.isDirectory { throw Self.isAFolder(path, endpoint) }
    try await removeIfPresent(path.replaced.text)
    try await rename(path.text, to: path.replaced.text)
    do throws(SFTPError) { try await rename(path.part.text, to: path.text) } catch {
      // The first failure is the one to tell; if this fails too, the next delivery puts the file back.
      if isUsable { try? await rename(path.replaced.text, to: path.text) }
      throw error
    }
    try await removeIfPresent(path.replaced.text)
  }

  /// Mends what a crash inside `replaceInSteps` left: an old file without its name gets it back, one that was replaced
  /// goes.
  func recoverReplaced(_ path: RemotePath) async throws(SFTPError) {
    let replaced = path.replaced.text
    guard try await attributes(of: replaced, followLinks: false) != nil else { return }
    if try await attributes(of: path.text, followLinks: false) == nil {
      try await rename(replaced, to: path.text)
    } else {
      try await remove(replaced)
    }
  }
}
