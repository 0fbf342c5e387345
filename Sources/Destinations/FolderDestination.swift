// A folder of this machine as a destination, such as a partner's share that is mounted: "file:///mnt/partner". Paths
// below it are taken one name at a time and never through a symbolic link, so that nothing outside is touched. Bytes on
// their way are the business of FolderFile.
import Glibc
import NIOCore
import Transport

public final class FolderDestination: Destination {
  static let workers = 4

  let root: RemotePath
  private let folderMode: UInt16?
  let threads: FolderThreads

  /// - Parameters:
  ///   - root: an absolute path of a folder that is there. Links on the way to it are followed; below it none is.
  ///   - folderMode: permission bits of folders that are made.
  public init(_ root: RemotePath, folderMode: UInt16? = nil) {
    self.root = root
    self.folderMode = folderMode
    threads = FolderThreads(Self.workers)
  }

  /// This machine needs no proof; that the folder is there is seen.
  public func identity() async throws(DestinationError) -> ServerIdentity {
    guard try await stat(root)?.isDirectory == true else { throw FolderPath.error(ENOENT, "open the folder \(root)") }
    return ServerIdentity(fingerprint: "", isNew: false)
  }

  public func capabilities() async throws(DestinationError) -> DestinationCapabilities {
    DestinationCapabilities(
      writesAtOffsets: true, atomicReplace: true, tellsFreeSpace: true, flushes: true, remoteHashes: [],
      maxConnections: Self.workers)
  }

  public func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo? {
    try await threads.run { [root] () throws(DestinationError) in
      guard path != root else { return try FolderPath.open(root, root, making: false).info(nil, path) }
      do throws(DestinationError) {
        return try FolderPath.open(path.parent, root, making: false).info(path.name, path)
      } catch {
        if error.kind == .missing { return nil }
        throw error
      }
    }
  }

  public func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile {
    try checkName(path)
    let descriptor = try await threads.run { [root, folderMode] () throws(DestinationError) in
      let folder = try FolderPath.open(path.parent, root, making: true, folderMode: folderMode)
      if try folder.info(path.name, path)?.isDirectory == true {
        throw DestinationError(.conflict, "\(path) is a folder.", nextStep: "Choose another name for the file.")
      }
      if let size, let free = folder.free, free < size {
        throw DestinationError(
          .noSpace, "\(path) needs \(size) bytes, and its disk has \(free) bytes free.",
          nextStep: "Free space there, then start again.")
      }
      return try folder.openFile(path.part, .create)
    }
    return FolderFile(path, root: root, descriptor, threads)
  }

  public func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile {
    try checkName(path)
    let descriptor = try await threads.run { [root] () throws(DestinationError) in
      try FolderPath.open(path.parent, root, making: false).openFile(path.part, .update)
    }
    return FolderFile(path, root: root, descriptor, threads)
  }

  public func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest {
    try checkName(path)
    let descriptor = try await threads.run { [root] () throws(DestinationError) in
      try FolderPath.open(path.parent, root, making: false).openFile(path, .read)
    }
    let file = FolderFile(path, root: root, descriptor, threads)
    return try await file.digest(of: 0..<(try await file.size()))
  }

  public func removePart(of path: RemotePath) async throws(DestinationError) {
    try checkName(path)
    try await threads.run { [root] () throws(DestinationError) in
      do throws(DestinationError) {
        try FolderPath.open(path.parent, root, making: false).remove(path.part)
      } catch {
        if error.kind != .missing { throw error }
      }
    }
  }

  public func close() async { threads.stop() }

  private func checkName(_ path: RemotePath) throws(DestinationError) {
    if path.name == nil {
      throw DestinationError(.invalidPath, "The path \(path) names no file.", nextStep: "Add a file's name to it.")
    }
  }

  // MARK: Probe

  public func probe() async -> [ProbeStep] {
    let name = ".ferry-probe-" + (0..<8).map { _ in UInt8.random(in: 0...255) }.hexadecimal
    // Only one of the longest paths could leave no room for the name.
    guard let path = try? root.appending(name) else { return [] }
    let content = ByteBuffer(string: "FileFerry was here.\n")
    let size = Int64(content.readableBytes)
    var steps: [ProbeStep] = []
    var file: (any RemoteFile)?
    await step("write", &steps) { () async throws(DestinationError) in
      let made = try await create(path, size: size)
      file = made
      try await made.write(content, at: 0)
      guard try await made.digest(of: 0..<size) == SFTPReader.sha256(content) else {
        throw DestinationError(
          .failed, "\(root) gave back other bytes than were written.", nextStep: "Have its disk checked.")
      }
      return "\(size) bytes written to \(root) and read back"
    }
    if let made = file, steps.allSatisfy(\.ok) {
      await step("rename", &steps) { () async throws(DestinationError) in
        try await made.commit(size: size, overwrite: false)
        return "files can be replaced in one step"
      }
    }
    let written = steps
    await step("delete", &steps) { () async throws(DestinationError) in
      try await removePart(of: path)
      try await threads.run { [root] () throws(DestinationError) in
        try FolderPath.open(root, root, making: false).remove(path)
      }
      return "nothing is left behind"
    }
    // After a failure only the tidying's own failure is news.
    return written.allSatisfy(\.ok) || steps.last?.error?.kind == .failed ? steps : written
  }

  private func step(
    _ name: String, _ steps: inout [ProbeStep], _ body: () async throws(DestinationError) -> String
  ) async {
    let start = ContinuousClock.now
    do throws(DestinationError) {
      let detail = try await body()
      steps.append(ProbeStep(name: name, duration: .now - start, detail: detail))
    } catch {
      steps.append(ProbeStep(name: name, duration: .now - start, detail: error.message, error: error))
    }
  }
}
