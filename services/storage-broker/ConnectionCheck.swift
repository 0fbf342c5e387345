// Checks a connection before it is saved: everything that can be told without asking the provider.
import FerryAPI
import FoundationEssentials
import RPC
import ServiceKit

enum ConnectionCheck {
  static let maxNameBytes = 64
  /// Of a key, a secret, a signature or a token; STS session tokens are the longest.
  static let maxSecretBytes = 8192

  /// The connection as it will be saved: the settings of other providers left out.
  static func checked(_ connection: Connection) throws(RPCError) -> Connection {
    try check(name: connection.name)
    var kept = connection
    switch connection.provider {
    case "folder":
      (kept.s3, kept.azureBlob, kept.accessKeyID) = (nil, nil, "")
      try check(root: connection.folder?.root ?? "")
    case "s3":
      (kept.folder, kept.azureBlob) = (nil, nil)
      guard !connection.accessKeyID.isEmpty else {
        throw BrokerProblems.invalid("The connection has no access key id.", "Give the one that belongs to its secret.")
      }
    case "azure":
      (kept.s3, kept.folder, kept.accessKeyID) = (nil, nil, "")
      guard connection.azureBlob?.account.isEmpty == false else {
        throw BrokerProblems.invalid("The connection names no storage account.", "Give the account's name.")
      }
    case "":
      throw BrokerProblems.invalid("The connection names no provider.", "Choose one of those that are listed.")
    default: break  // the registry says which there are
    }
    return kept
  }

  static func check(name: String) throws(RPCError) {
    let allowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    guard !name.isEmpty, name.utf8.count <= maxNameBytes, allowed else {
      throw BrokerProblems.invalid(
        "A connection can't be named \(String(name.prefix(maxNameBytes)).debugDescription).",
        "Use 1 to \(maxNameBytes) letters, digits, \"-\", \"_\" and \".\".")
    }
  }

  private static func check(root: String) throws(RPCError) {
    guard root.hasPrefix("/"), !root.utf8.contains(0) else {
      throw BrokerProblems.invalid(
        "The folder's root \(String(root.prefix(255)).debugDescription) is no absolute path.",
        "Give one that begins with a slash.")
    }
    var isDirectory = false
    guard FileManager.default.fileExists(atPath: root, isDirectory: &isDirectory), isDirectory else {
      throw BrokerProblems.invalid(
        "There is no directory \(String(root.prefix(255))) on storage-broker's host.",
        "Create it, or correct the root.")
    }
  }
}
