// Saved destinations with their credentials, sealed, and the host keys that were accepted once. What a destination can
// do is the Destinations library's.
import Destinations
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Transport

struct DestinationStore: Sendable {
  /// Destinations in all: they are listed as one page.
  static let maxDestinations = 1000
  private static let partition = "destinations"
  private static let hostKeys = "host-keys"

  /// With secrets. Never shown: what is shown is `destination`.
  struct Saved: Sendable, CustomStringConvertible, CustomReflectable {
    var destination: FerryAPI.Destination
    var credentials: DestinationCredentials
    var description: String { "destination \(destination.name)" }
    var customMirror: Mirror { Mirror(self, children: ["name": destination.name]) }
  }

  let store: any DocumentStore
  let box: SecretBox
  /// Of this machine, that deliveries may write to.
  var folderRoots: [RemotePath] = []
  let lockingServers = LockingServers()

  func load(_ name: String) async throws(RPCError) -> Saved? {
    let key = DocumentKey(partition: Self.partition, sort: name)
    guard let document = try await storing({ () throws(DocumentStoreError) in try await store.get(key) }) else {
      return nil
    }
    return try open(document)
  }

  func all() async throws(RPCError) -> [FerryAPI.Destination] {
    let page = try await storing { () throws(DocumentStoreError) in
      try await store.query(partition: Self.partition, limit: Self.maxDestinations)
    }
    var destinations: [FerryAPI.Destination] = []
    for document in page.documents { destinations.append(try open(document).destination) }
    return destinations
  }

  func save(_ saved: Saved) async throws(RPCError) {
    var whole = SaveDestinationRequest()
    whole.destination = saved.destination
    whole.credentials = saved.credentials
    let name = saved.destination.name
    let body = box.seal(whole.encodedBytes(), context: Self.context(name))
    try await storing { () throws(DocumentStoreError) in
      _ = try await store.put(DocumentKey(partition: Self.partition, sort: name), body)
    }
  }

  func delete(_ name: String) async throws(RPCError) {
    try await storing { () throws(DocumentStoreError) in
      try await store.delete(DocumentKey(partition: Self.partition, sort: name))
    }
  }

  /// Bound to the name, so that one destination's secrets can't be put under another's.
  private static func context(_ name: String) -> String { "destination/\(name)" }

  private func open(_ document: Document) throws(RPCError) -> Saved {
    do {
      let bytes = try box.open(document.body, context: Self.context(document.key.sort))
      let whole = try SaveDestinationRequest(decoding: bytes)
      return Saved(
        destination: whole.destination ?? FerryAPI.Destination(),
        credentials: whole.credentials ?? DestinationCredentials())
    } catch {
      throw .fault(
        "The saved destination \(document.key.sort) can't be opened with this service's seal key.",
        next: "Restore the seal key that belongs to the data, or save the destination again.")
    }
  }

  // MARK: Host keys

  /// Fingerprints accepted before for this host and port.
  func knownHostKeys(_ endpoint: SSHEndpoint) async throws(RPCError) -> [String] {
    let key = DocumentKey(partition: Self.hostKeys, sort: endpoint.description.lowercased())
    let found = try await storing { () throws(DocumentStoreError) in try await store.get(key) }
    return found.map { [String(decoding: $0.body, as: UTF8.self)] } ?? []
  }

  /// Keeps the first key that was accepted; one that came in meanwhile stays.
  func remember(_ fingerprint: String, of endpoint: SSHEndpoint) async throws(RPCError) {
    let key = DocumentKey(partition: Self.hostKeys, sort: endpoint.description.lowercased())
    do throws(DocumentStoreError) { _ = try await store.put(key, Array(fingerprint.utf8), if: .absent) } catch {
      if error.conflictingKey == nil { throw RPCError(error) }
    }
  }
}

/// Runs a call on this service's own store and turns its error into a status.
func storing<Value>(
  isolation: isolated (any Actor)? = #isolation, _ call: () async throws(DocumentStoreError) -> Value
) async throws(RPCError) -> Value {
  do { return try await call() } catch { throw RPCError(error) }
}
