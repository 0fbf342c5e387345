// The last step of a delivery: the proven .part file gets its name. Most servers let RNTO take a file's place; on
// others the old file steps aside under a name of its own, which is put back after a failure here, or by the next delivery
// after a crash.
import Transport

extension FTPPool {
  /// Lost connections in a row after which a rename counts as failed.
  private static let maxDoubts = 3

  /// A connection that is lost on the way leaves open whether the rename was done: the server is asked again.
  nonisolated func rename(_ path: RemotePath, size: Int64, overwrite: Bool) async throws(DestinationError) {
    try await withConnection { (connection) async throws(FTPError) in try await connection.checkSize(path, size) }
    var doubts = 0
    while true {
      let asked = doubts > 0
      do throws(DestinationError) {
        let replaced = try await withConnection(repeatable: false) { (connection) async throws(FTPError) in
          if asked, try await connection.isRenamed(path, size: size) { return true }
          if overwrite { return try await connection.replace(path) }
          try await connection.claim(path)
          return true
        }
        if !replaced { await note(replacesByRename: false) }
        return
      } catch {
        doubts += 1
        if error.kind != .unreachable || doubts > Self.maxDoubts || Task.isCancelled { throw error }
      }
    }
  }
}

extension FTPConnection {
  fileprivate func isRenamed(_ path: RemotePath, size: Int64) throws(FTPError) -> Bool {
    let (part, file) = (try info(of: path.part.text), try info(of: path.text))
    return part == nil && file?.size == size
  }

  fileprivate func checkSize(_ path: RemotePath, _ size: Int64) throws(FTPError) {
    var found = try self.size(of: path.part.text)
    if found == nil { found = try info(of: path.part.text)?.size }
    // A server that doesn't tell sizes has confirmed the upload; whether the file is there shows in the rename.
    guard let found, found != size else { return }
    throw FTPError(
      .failure, "\(path) has \(found) bytes at the destination, and \(size) were sent.",
      nextStep: "Send the file again.")
  }

  private func conflict(_ path: RemotePath) -> FTPError {
    FTPError(
      .alreadyExists, "\(path) already exists at \(endpoint).", nextStep: "Choose another name, or allow overwriting.")
  }

  /// Gives the file a name that must be free. RNTO would mostly take a taken one: the question beforehand has to do.
  fileprivate func claim(_ path: RemotePath) throws(FTPError) {
    if try info(of: path.text) != nil { throw conflict(path) }
    do throws(FTPError) { try rename(path.part.text, to: path.text) } catch {
      if isUsable, error.replyCode != 0, try info(of: path.text) != nil { throw conflict(path) }
      throw error
    }
  }

  /// False if the server had to be helped.
  fileprivate func replace(_ path: RemotePath) throws(FTPError) -> Bool {
    do throws(FTPError) {
      try rename(path.part.text, to: path.text)
      return true
    } catch {
      guard isUsable, error.replyCode >= 450, try isFile(path) else { throw error }
      try replaceInSteps(path)
      return false
    }
  }

  /// There is a moment, between two commands, without the file.
  func replaceInSteps(_ path: RemotePath) throws(FTPError) {
    try removeIfPresent(path.replaced.text)
    try rename(path.text, to: path.replaced.text)
    do throws(FTPError) { try rename(path.part.text, to: path.text) } catch {
      // The first failure is the one to tell; if this fails too, the next delivery puts the file back.
      if isUsable { try? rename(path.replaced.text, to: path.text) }
      throw error
    }
    try removeIfPresent(path.replaced.text)
  }

  /// Mends what a crash inside `replaceInSteps` left: an old file without its name gets it back, one that was replaced
  /// goes.
  func recoverReplaced(_ path: RemotePath) throws(FTPError) {
    let replaced = path.replaced.text
    guard try info(of: replaced) != nil else { return }
    if try info(of: path.text) == nil {
      try rename(replaced, to: path.text)
    } else {
      try remove(replaced)
    }
  }
}
