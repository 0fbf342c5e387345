// Saved connections, sealed as a whole: the store's file tells nobody which keys there are. It knows no provider.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

/// A connection with its secrets. Never shown: what is shown is `connection`.
struct SavedConnection: Sendable, CustomStringConvertible, CustomReflectable {
  var connection: Connection
  var secretAccessKey: String
  var sessionToken: String
  var accountKey: String
  var sharedAccessSignature: String

  init(connection: Connection, secretsOf request: SaveConnectionRequest) {
    self.connection = connection
    secretAccessKey = request.secretAccessKey
    sessionToken = request.sessionToken
    accountKey = request.accountKey
    sharedAccessSignature = request.sharedAccessSignature
  }

  var description: String { "connection \(connection.name)" }
  var customMirror: Mirror { Mirror(self, children: ["name": connection.name]) }
}

struct ConnectionStore: Sendable {
  /// Connections in all: they are listed as one page.
  static let maxConnections = 1000
  private static let partition = "connections"

  let store: any DocumentStore
  let box: SecretBox

  /// The version changes with each save, also by another process.
  func load(_ name: String) async throws(RPCError) -> (saved: SavedConnection, version: DocumentVersion)? {
    let key = DocumentKey(partition: Self.partition, sort: name)
    let found = try await BrokerProblems.storing { () throws(DocumentStoreError) in try await store.get(key) }
    guard let found else { return nil }
    return (try open(found), found.version)
  }

  func all() async throws(RPCError) -> [Connection] {
    let page = try await BrokerProblems.storing { () throws(DocumentStoreError) in
      try await store.query(partition: Self.partition, limit: Self.maxConnections)
    }
    var connections: [Connection] = []
    for document in page.documents { connections.append(try open(document).connection) }
    return connections
  }

  func save(_ saved: SavedConnection) async throws(RPCError) {
    var sealed = SaveConnectionRequest()
    sealed.connection = saved.connection
    sealed.secretAccessKey = saved.secretAccessKey
    sealed.sessionToken = saved.sessionToken
    sealed.accountKey = saved.accountKey
    sealed.sharedAccessSignature = saved.sharedAccessSignature
    let name = saved.connection.name
    let body = box.seal(sealed.encodedBytes(), context: Self.context(name))
    try await BrokerProblems.storing { () throws(DocumentStoreError) in
      _ = try await store.put(DocumentKey(partition: Self.partition, sort: name), body)
    }
  }

  func delete(_ name: String) async throws(RPCError) {
    try await BrokerProblems.storing { () throws(DocumentStoreError) in
      try await store.delete(DocumentKey(partition: Self.partition, sort: name))
    }
  }

  /// Bound to the name, so that one connection's secrets can't be put under another's.
  private static func context(_ name: String) -> String { "connection/\(name)" }

  private func open(_ document: Document) throws(RPCError) -> SavedConnection {
    let name = document.key.sort
    let opened: SaveConnectionRequest
    do {
      let bytes = try box.open(document.body, context: Self.context(name))
      opened = try SaveConnectionRequest(decoding: bytes)
    } catch {
      throw .fault(
        "The saved connection \(name) can't be opened with this service's seal key.",
        next: "Restore the seal key that belongs to the data, or save the connection again.")
    }
    return SavedConnection(connection: opened.connection ?? Connection(), secretsOf: opened)
  }
}
