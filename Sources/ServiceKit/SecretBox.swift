// Seals secrets that a service has to keep and to use again (a customer's password): AES-256-GCM under a key of its own
// data folder. The context is bound to the seal, so that a sealed value cannot be moved to another record.
import Crypto
import FoundationEssentials

public struct SecretBox: Sendable {
  static let keySize = 32
  /// The first byte of what is sealed: how the rest is read.
  private static let format: UInt8 = 1

  private let key: SymmetricKey

  public init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

  /// The key file is made on first use, for its owner alone.
  public init(keyFile path: String) throws(ServiceFailure) {
    let bytes = try PrivateFile.readOrMake(path, maximumSize: Self.keySize) { SystemRandom.bytes(Self.keySize) }
    guard bytes.count == Self.keySize else {
      throw ServiceFailure(
        "The key file \(path) has \(bytes.count) bytes instead of \(Self.keySize).",
        nextStep: "Restore it from a backup; what was sealed with it can't be read without it.")
    }
    self.init(key: bytes)
  }

  /// - Parameter context: what the secret belongs to, such as "destination/dst_01J/password"; needed to open it.
  public func seal(_ secret: [UInt8], context: String) -> [UInt8] {
    let nonce = AES.GCM.Nonce()
    do {
      let box = try AES.GCM.seal(secret, using: key, nonce: nonce, authenticating: Array(context.utf8))
      return [Self.format] + Array(nonce) + Array(box.ciphertext) + Array(box.tag)
    } catch {
      // AES-GCM refuses only texts of more than 64 GiB and keys of a wrong size, which init rules out.
      preconditionFailure("AES-GCM refused to seal")
    }
  }

  public struct OpenError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String {
      "A sealed secret can't be opened: it was changed, belongs to another record, or was sealed with another key. "
        + "Restore the key file of the data folder, or enter the secret again."
    }
  }

  public func open(_ sealed: [UInt8], context: String) throws(OpenError) -> [UInt8] {
    guard sealed.first == Self.format else { throw OpenError() }
    do {
      let box = try AES.GCM.SealedBox(combined: sealed.dropFirst())
      return Array(try AES.GCM.open(box, using: key, authenticating: Array(context.utf8)))
    } catch { throw OpenError() }
  }
}
