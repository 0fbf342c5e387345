// The one place that knows every provider: one line each. Storage-broker lists them from here and builds a store from a
// saved connection's settings.
import CloudsAWS
import CloudsAzure
import Transport

/// A connection as it is saved; each provider reads the fields that are its own.
public struct ObjectStoreSettings: Sendable, Equatable {
  public enum AddressingStyle: String, Sendable, CaseIterable {
    /// Virtual-hosted on AWS itself, path on a custom endpoint.
    case automatic
    case path
    case virtualHosted
  }

  public var provider: String
  /// "https://s3.example.com:9000"; empty for AWS itself. Of "azure": "http://127.0.0.1:10000/ACCOUNT"; empty for
  /// https://ACCOUNT.blob.core.windows.net.
  public var endpoint: String
  /// Empty for us-east-1.
  public var region: String
  public var addressingStyle: AddressingStyle
  /// Of "folder": absolute, each directory in it is a bucket.
  public var root: String
  public var credentials: AWSCredentials?
  public var azureCredentials: AzureCredentials?

  public init(
    provider: String, endpoint: String = "", region: String = "", addressingStyle: AddressingStyle = .automatic,
    root: String = "", credentials: AWSCredentials? = nil, azureCredentials: AzureCredentials? = nil
  ) {
    self.provider = provider
    self.endpoint = endpoint
    self.region = region
    self.addressingStyle = addressingStyle
    self.root = root
    self.credentials = credentials
    self.azureCredentials = azureCredentials
  }
}

public struct ObjectStoreProvider: Sendable {
  public typealias Make =
    @Sendable (
      ObjectStoreSettings, HTTPClient, ObjectStoreEnvironment
    ) throws(ObjectStoreError) -> any ObjectStore

  public let id: String
  public let displayName: String
  /// Empty where the provider has none.
  public let regions: [String]
  let make: Make

  public init(id: String, displayName: String, regions: [String], make: @escaping Make) {
    self.id = id
    self.displayName = displayName
    self.regions = regions
    self.make = make
  }
}

public enum ObjectStoreRegistry {
  public static let providers: [ObjectStoreProvider] = [
    ObjectStoreProvider(
      id: S3ObjectStore.provider, displayName: "Amazon S3", regions: S3Regions.all, make: S3ObjectStore.make),
    ObjectStoreProvider(
      id: AzureBlobObjectStore.provider, displayName: "Azure Blob Storage", regions: AzureBlobRegions.all,
      make: AzureBlobObjectStore.make),
    ObjectStoreProvider(
      id: FolderObjectStore.provider, displayName: "Folder", regions: [], make: FolderObjectStore.make),
  ]

  /// Checks the settings and contacts nobody. Throws `invalid`.
  public static func store(
    _ settings: ObjectStoreSettings, http: HTTPClient, environment: ObjectStoreEnvironment = .system
  ) throws(ObjectStoreError) -> any ObjectStore {
    guard let provider = providers.first(where: { $0.id == settings.provider }) else {
      throw ObjectStoreError(
        .invalid, provider: settings.provider, message: "There is no storage provider \"\(settings.provider)\".",
        nextStep: "Choose one of: \(providers.map(\.id).joined(separator: ", ")).")
    }
    return try provider.make(settings, http, environment)
  }
}
