// Tries an SFTP destination out on a connection of its own: everything that a delivery will do, in small, and then
// tidies up.
import NIOCore
import Synchronization
import Transport

struct SFTPProbe {
  let settings: DestinationSettings

  init(_ settings: DestinationSettings) { self.settings = settings }

  /// Steps as they are told, from the connection's thread.
  private final class Record: Sendable {
    let steps = Mutex<[ProbeStep]>([])

    func add(_ report: SSHStepReport) {
      // SFTP's start is part of what a person calls the login.
      if report.step == .sftp, report.error == nil { return }
      var step = ProbeStep(
        name: report.step == .sftp ? SSHStep.login.rawValue : report.step.rawValue, duration: report.duration,
        detail: report.detail, error: report.error.map(DestinationError.init))
      if report.step == .hostKey {
        step.hostKey = report.error?.shownHostKey ?? report.detail.split(separator: " ").last.map(String.init)
      }
      steps.withLock { steps in
        if report.step == .sftp, steps.last?.name == step.name { steps.removeLast() }
        steps.append(step)
      }
    }
  }

  func run() async -> [ProbeStep] {
    let connection = SFTPConnection(
      to: settings.address.endpoint, login: SSHLogin(settings), hostKeys: settings.hostKeys,
      timeouts: settings.timeouts)
    let record = Record()
    let connected = await withTaskCancellationHandler {
      do throws(SFTPError) {
        try await connection.connect { record.add($0) }
        return true
      } catch {
        return false  // the record has it
      }
    } onCancel: {
      connection.abort()
    }
    var steps = record.steps.withLock { $0 }
    if connected { steps += await tryFiles(connection) }
    await connection.close()
    return steps
  }

  private static let content = ByteBuffer(string: "FileFerry was here.\n")

  private func tryFiles(_ connection: SFTPConnection) async -> [ProbeStep] {
    let folder = settings.address.path
    let name = ".ferry-probe-" + (0..<8).map { _ in UInt8.random(in: 0...255) }.hexadecimal
    // A folder that came from a URL is within limits; only one of the longest paths could leave no room for the name.
    guard let file = try? folder.appending(name) else { return [] }
    var made: [RemotePath] = []
    var steps: [ProbeStep] = []

    let write = await step("write") { () async throws(SFTPError) in
      made = try await connection.makeDirectories(folder)
      let handle = try await connection.open(file.part.text, .createNew)
      try await connection.write(Self.content, at: 0, to: handle)
      try await connection.close(handle)
      try await check(file.part.text, connection)
      return "\(Self.content.readableBytes) bytes written to \(folder) and read back"
    }
    steps.append(write)
    var left = file.part.text
    if write.ok {
      let rename = await step("rename") { () async throws(SFTPError) in
        try await connection.rename(file.part.text, to: file.text)
        left = file.text
        let oneStep = try await connection.extensions()[SFTPConnection.posixRename] != nil
        return oneStep ? "files can be replaced in one step" : "files are replaced in two steps"
      }
      steps.append(rename)
    }
    let (remains, folders) = (left, made)
    let delete = await step("delete") { () async throws(SFTPError) in
      try await connection.removeIfPresent(remains)
      for folder in folders.reversed() { try await connection.removeDirectory(folder.text) }
      return "nothing is left behind"
    }
    // After a failure only the tidying's own failure is news.
    if steps.allSatisfy(\.ok) || (!delete.ok && connection.isUsable) { steps.append(delete) }
    return steps
  }

  private func check(_ path: String, _ connection: SFTPConnection) async throws(SFTPError) {
    let handle = try await connection.open(path, .read)
    let found = try await connection.read(0..<Int64(Self.content.readableBytes), from: handle)
    try await connection.close(handle)
    guard found == Self.content else {
      throw SFTPError(
        .failure, "\(connection.endpoint) gave back other bytes than were written to \(path).",
        nextStep: "Ask the server's owner: it can't be trusted with files as it is.")
    }
  }

  private func step(_ name: String, _ body: () async throws(SFTPError) -> String) async -> ProbeStep {
    let start = ContinuousClock.now
    do throws(SFTPError) {
      let detail = try await body()
      return ProbeStep(name: name, duration: ContinuousClock.now - start, detail: detail)
    } catch {
      return ProbeStep(
        name: name, duration: ContinuousClock.now - start, detail: error.message, error: DestinationError(error))
    }
  }
}
