// What is asked of names on an FTP server: size, kind, rename, removal, folders. Each question has the answer
// of the best command that the server knows, down to LIST.

extension FTPConnection {
  /// A listing of one file is one line; more than this is none.
  private static let maxListingBytes = 16 * 1024

  private static func isUnknown(_ reply: FTPReply) -> Bool { [500, 501, 502, 504].contains(reply.code) }

  /// Nil if there is nothing of this name.
  public func info(of path: String) throws(FTPError) -> FTPFileInfo? {
    let doing = "look for \(path)"
    if features.mlst, !refused.contains("MLST") {
      let reply = try command("MLST \(path)", doing)
      if reply.isPositive, let info = FTPFacts.mlst(reply) { return info }
      if reply.code == 550 { return try missing(reply, doing) }
      if !Self.isUnknown(reply), !reply.isPositive { throw FTPError(reply, doing, .read, at: endpoint) }
      refused.insert("MLST")
    }
    if let size = try size(of: path) {
      return FTPFileInfo(size: size, modified: try modified(path), isDirectory: false)
    }
    if try isFolder(path) { return FTPFileInfo(size: 0, modified: nil, isDirectory: true) }
    // A server that knows SIZE may have its reasons not to tell it; whether there is something, a rename's beginning
    // tells, which means nothing by itself. A listing, over a data connection, is the last resort.
    if !refused.contains("SIZE"), try command("RNFR \(path)", doing).code != 350 { return nil }
    return try listed(path)
  }

  /// "No such file" is an answer; "permission denied" is none.
  private func missing(_ reply: FTPReply, _ doing: String) throws(FTPError) -> FTPFileInfo? {
    let error = FTPError(reply, doing, .read, at: endpoint)
    if error.kind == .noSuchFile || error.kind == .failure { return nil }
    throw error
  }

  /// Of a file; nil if there is none of this name, or if the server can't tell.
  public func size(of path: String) throws(FTPError) -> Int64? {
    if refused.contains("SIZE") { return nil }
    try makeBinary()
    let reply = try command("SIZE \(path)", "ask for the size of \(path)")
    if reply.code == 213 { return Int64(reply.text.filter { $0 != " " }) }
    if Self.isUnknown(reply) { refused.insert("SIZE") }
    return nil
  }

  private func modified(_ path: String) throws(FTPError) -> Int64? {
    if refused.contains("MDTM") || !features.offers("MDTM") { return nil }
    let reply = try command("MDTM \(path)", "ask for the time of \(path)")
    if Self.isUnknown(reply) { refused.insert("MDTM") }
    return reply.code == 213 ? FTPFacts.time(reply.text) : nil
  }

  /// Goes there and back.
  private func isFolder(_ path: String) throws(FTPError) -> Bool {
    let doing = "look for the folder \(path)"
    guard try command("CWD \(path)", doing).isPositive else { return false }
    guard let home, try command("CWD \(home)", doing).isPositive else {
      // Names below the login's own folder would now be others.
      abort()
      throw FTPError(
        .connectionLost, "\(endpoint) let nobody back from \(path).", nextStep: "Write the destination's path from / on.")
    }
    return true
  }

  private func listed(_ path: String) throws(FTPError) -> FTPFileInfo? {
    // A name that begins with "-" would be taken for an option.
    let safe = path.hasPrefix("-") ? "./" + path : path
    let name = path.split(separator: "/").last.map(String.init) ?? path
    do throws(FTPError) {
      return FTPFacts.list(try list("LIST \(safe)", most: Self.maxListingBytes), name: name)
    } catch {
      if isUsable, error.replyCode == 450 || error.replyCode == 550 { return nil }
      throw error
    }
  }

  // MARK: Changes

  public func rename(_ from: String, to: String) throws(FTPError) {
    let doing = "rename \(from) to \(to)"
    let ready = try command("RNFR \(from)", doing)
    guard ready.code == 350 else { throw FTPError(ready, doing, ready.code == 550 ? .read : .other, at: endpoint) }
    let done = try command("RNTO \(to)", doing)
    if !done.isPositive { throw FTPError(done, doing, .write, at: endpoint) }
  }

  public func remove(_ path: String) throws(FTPError) {
    let reply = try command("DELE \(path)", "delete \(path)")
    if !reply.isPositive { throw FTPError(reply, "delete \(path)", .write, at: endpoint) }
  }

  /// Nothing there is no error, whatever words the server has for it.
  public func removeIfPresent(_ path: String) throws(FTPError) {
    do throws(FTPError) { try remove(path) } catch {
      if error.kind == .noSuchFile { return }
      if isUsable, [450, 550].contains(error.replyCode), try info(of: path) == nil { return }
      throw error
    }
  }

  /// False if the server has no SITE CHMOD.
  public func setMode(_ mode: UInt16, of path: String) throws(FTPError) -> Bool {
    let reply = try command("SITE CHMOD \(String(mode, radix: 8)) \(path)", "set the permissions of \(path)")
    return reply.isPositive
  }

  /// Seconds since 1970. False if the server knows neither MFMT (draft-somers-ftp-mfxx) nor the MDTM with a time that some
  /// have in its place.
  public func setModified(_ seconds: Int64, of path: String) throws(FTPError) -> Bool {
    let command = features.offers("MFMT") ? "MFMT" : "MDTM"
    return try self.command("\(command) \(FTPFacts.text(ofTime: seconds)) \(path)", "set the time of \(path)").isPositive
  }

  public func makeDirectory(_ path: String) throws(FTPError) {
    let reply = try command("MKD \(path)", "make the folder \(path)")
    if !reply.isPositive { throw FTPError(reply, "make the folder \(path)", .write, at: endpoint) }
  }

  public func removeDirectory(_ path: String) throws(FTPError) {
    let reply = try command("RMD \(path)", "remove the folder \(path)")
    if !reply.isPositive { throw FTPError(reply, "remove the folder \(path)", .write, at: endpoint) }
  }
}
