// The handles of one file on a server: one a connection, opened when first needed there.
import Synchronization
import Transport

final class SFTPHandles: Sendable {
  let name: String
  private let mode: SFTPOpenMode
  private let handles = Mutex<[Int: Entry]>([:])

  private struct Entry {
    let connection: SFTPConnection
    /// Two calls on one connection wait for the same opening.
    let opening: Task<Result<SFTPHandle, SFTPError>, Never>
  }

  init(_ name: String, _ mode: SFTPOpenMode) {
    self.name = name
    self.mode = mode
  }

  /// Numbers of the connections that the file is open on.
  var connections: [Int] { handles.withLock { Array($0.keys) } }

  func adopt(_ handle: SFTPHandle, of connection: SFTPConnection) {
    let entry = Entry(connection: connection, opening: Task { .success(handle) })
    handles.withLock { $0[connection.number] = entry }
  }

  func handle(on connection: SFTPConnection) async throws(SFTPError) -> SFTPHandle {
    let entry = handles.withLock { handles in
      if let known = handles[connection.number] { return known }
      // The dead ones' numbers don't come back.
      handles = handles.filter { $0.value.connection.isUsable }
      let entry = Entry(connection: connection, opening: Task { [name, mode] in
        do throws(SFTPError) { return .success(try await connection.open(name, mode)) } catch { return .failure(error) }
      })
      handles[connection.number] = entry
      return entry
    }
    do throws(SFTPError) { return try await entry.opening.value.get() } catch {
      handles.withLock { $0[connection.number] = nil }
      throw error
    }
  }

  /// Takes the handles out, to be closed by the caller.
  func take() async -> [(connection: SFTPConnection, handle: SFTPHandle)] {
    let open = handles.withLock { handles in
      defer { handles = [:] }
      return Array(handles.values)
    }
    var taken: [(SFTPConnection, SFTPHandle)] = []
    for entry in open where entry.connection.isUsable {
      if case .success(let handle) = await entry.opening.value { taken.append((entry.connection, handle)) }
    }
    return taken
  }

  /// Closes them all, of a file whose bytes were acknowledged or only read.
  func close() async {
    for (connection, handle) in await take() { try? await connection.close(handle) }
  }
}
