// What opens a storage account: its key, or a shared access signature (SAS) that was given out for it. Nothing printed,
// logged or dumped from here shows a secret.

public struct AzureCredentials: Sendable, Equatable {
  public enum Secret: Sendable, Equatable {
    /// Base64, as Azure shows it.
    case accountKey(String)
    /// The query of a SAS URL: "sv=…&sig=…", with or without its "?".
    case sharedAccessSignature(String)
  }

  public let account: String
  public let secret: Secret

  public init(account: String, secret: Secret) {
    self.account = account
    self.secret = secret
  }
}

extension AzureCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "Azure storage account \(account)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["account": account]) }
}

extension AzureCredentials.Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String {
    switch self {
    case .accountKey: "account key"
    case .sharedAccessSignature: "shared access signature"
    }
  }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["kind": description]) }
}
