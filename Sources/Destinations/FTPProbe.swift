// Tries an FTP destination out on a connection of its own: everything that a delivery will do, in small, and then
// tidies up.
import NIOCore
import Synchronization
import Transport

struct FTPProbe {
  private static let content = ByteBuffer(string: "FileFerry was here.\n")

  private let settings: DestinationSettings

  init(_ settings: DestinationSettings) { self.settings = settings }

  /// Steps as they are told, from the connection's thread.
  private final class Record: Sendable {
    let steps = Mutex<[ProbeStep]>([])

    func add(_ report: FTPStepReport) {
      var step = ProbeStep(
        name: report.step.rawValue, duration: report.duration, detail: report.detail,
        error: report.error.map(DestinationError.init))
      if let pin = report.certificate.flatMap(FTPPin.init) {
        step.hostKey = pin.text
        step.detail += ", public key \(pin.text)"
      }
      steps.withLock { $0.append(step) }
    }
  }

  func run() async -> [ProbeStep] {
    let connection = FTPConnection(FTPServer(settings))
    let record = Record()
    let connected = await withTaskCancellationHandler {
      do throws(FTPError) {
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

  private func tryFiles(_ connection: FTPConnection) async -> [ProbeStep] {
    let folder = settings.address.path
    let name = ".ferry-probe-" + (0..<8).map { _ in UInt8.random(in: 0...255) }.hexadecimal
    // A folder that came from a URL is within limits; only one of the longest paths could leave no room for the name.
    guard let file = try? folder.appending(name) else { return [] }
    var made: [RemotePath] = []
    var left: [String] = []
    var steps: [ProbeStep] = []

    let write = await step("write") { () async throws(FTPError) in
      made = try await connection.makeDirectories(folder)
      left = [file.part.text]
      try await send(file.part.text, connection)
      try await check(file.part.text, connection)
      return "\(Self.content.readableBytes) bytes written to \(folder) and read back"
    }
    steps.append(write)
    if write.ok {
      let rename = await step("rename") { () async throws(FTPError) in
        try await connection.rename(file.part.text, to: file.text)
        left = [file.text]
        return try await tryReplacing(file, connection, &left)
      }
      steps.append(rename)
    }
    let (remains, folders) = (left, made)
    let delete = await step("delete") { () async throws(FTPError) in
      for path in remains { try await connection.removeIfPresent(path) }
      for folder in folders.reversed() { try await connection.removeDirectory(folder.text) }
      return "nothing is left behind"
    }
    // After a failure only the tidying's own failure is news.
    if steps.allSatisfy(\.ok) || (!delete.ok && connection.isUsable) { steps.append(delete) }
    return steps
  }

  private func tryReplacing(
    _ file: RemotePath, _ connection: FTPConnection, _ left: inout [String]
  ) async throws(FTPError) -> String {
    left = [file.text, file.part.text]
    try await send(file.part.text, connection)
    do throws(FTPError) {
      try await connection.rename(file.part.text, to: file.text)
      return "files can be replaced in one step"
    } catch {
      if error.replyCode == 0 { throw error }
      return "files are replaced in two steps"
    }
  }

  private func send(_ path: String, _ connection: FTPConnection) async throws(FTPError) {
    let feed = FTPFeed()
    _ = await feed.send(Self.content)  // far below what would be waited for
    feed.finish()
    try await connection.upload(path, at: 0, from: feed)
    feed.close()
  }

  private func check(_ path: String, _ connection: FTPConnection) async throws(FTPError) {
    let most = Self.content.readableBytes + 1
    let gathered = Gathered()
    let tap = FTPTap(at: 0, isWanted: { false }) { gathered.add($0) }
    tap.begin()
    tap.allow(until: Int64(most))
    try await connection.retrieve(path, at: 0, into: tap)
    guard gathered.bytes.withLock({ $0 }) == Self.content else {
      throw FTPError(
        .failure, "\(connection.endpoint) gave back other bytes than were written to \(path).",
        nextStep: "Ask the server's owner: it can't be trusted with files as it is.")
    }
  }

  private final class Gathered: Sendable {
    let bytes = Mutex(ByteBuffer())
    func add(_ more: UnsafeRawBufferPointer) { _ = bytes.withLock { $0.writeBytes(more) } }
  }

  private func step(_ name: String, _ body: () async throws(FTPError) -> String) async -> ProbeStep {
    let start = ContinuousClock.now
    do throws(FTPError) {
      let detail = try await body()
      return ProbeStep(name: name, duration: ContinuousClock.now - start, detail: detail)
    } catch {
      return ProbeStep(
        name: name, duration: ContinuousClock.now - start, detail: error.message, error: DestinationError(error))
    }
  }
}
