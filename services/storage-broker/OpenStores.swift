// One ObjectStore for each connection in use: kept while its connection stays as it is, made anew when that changes.
import CloudsAWS
import CloudsAzure
import DocumentStore
import FerryAPI
import ObjectStores
import RPC
import ServiceKit
import Transport

actor OpenStores {
  /// Stores kept; the one unused for longest goes first.
  static let maxOpen = 64
  /// What a request means that names no connection.
  static let defaultName = "default"

  private struct Entry {
    var version: DocumentVersion
    var store: any ObjectStore
    var used: UInt64
  }

  private let connections: ConnectionStore
  nonisolated let http: HTTPClient
  private var entries: [String: Entry] = [:]
  private var uses: UInt64 = 0

  init(connections: ConnectionStore, http: HTTPClient) {
    self.connections = connections
    self.http = http
  }

  /// Throws NOT_FOUND (CONNECTION_UNKNOWN) where there is no connection of that name.
  func store(_ name: String) async throws(RPCError) -> any ObjectStore {
    let name = name.isEmpty ? Self.defaultName : name
    // The version is read each time: a change, also one by another process, counts from the next call on.
    guard let (saved, version) = try await connections.load(name) else {
      entries[name] = nil
      throw BrokerProblems.unknownConnection(name)
    }
    uses += 1
    if let entry = entries[name], entry.version == version {
      entries[name]?.used = uses
      return entry.store
    }
    let store: any ObjectStore
    do throws(ObjectStoreError) {
      store = try ObjectStoreRegistry.store(ObjectStoreSettings(saved), http: http)
    } catch {
      throw BrokerProblems.error(error, subject: "connection \(name)")
    }
    if entries.count >= Self.maxOpen, let oldest = entries.min(by: { $0.value.used < $1.value.used }) {
      entries[oldest.key] = nil
    }
    entries[name] = Entry(version: version, store: store, used: uses)
    return store
  }

  func drop(_ name: String) { entries[name] = nil }
}

extension ObjectStoreSettings {
  init(_ saved: SavedConnection) {
    let connection = saved.connection
    let style: AddressingStyle =
      switch connection.s3?.addressingStyle {
      case .path: .path
      case .virtualHosted: .virtualHosted
      default: .automatic
      }
    self.init(
      provider: connection.provider, endpoint: connection.s3?.endpoint ?? connection.azureBlob?.endpoint ?? "",
      region: connection.s3?.region ?? "",
      addressingStyle: style, root: connection.folder?.root ?? "",
      credentials: connection.accessKeyID.isEmpty
        ? nil
        : AWSCredentials(
          accessKeyID: connection.accessKeyID, secretAccessKey: saved.secretAccessKey,
          sessionToken: saved.sessionToken.isEmpty ? nil : saved.sessionToken),
      azureCredentials: connection.azureBlob.map { azure in
        AzureCredentials(
          account: azure.account,
          secret: saved.accountKey.isEmpty
            ? .sharedAccessSignature(saved.sharedAccessSignature) : .accountKey(saved.accountKey))
      })
  }
}
