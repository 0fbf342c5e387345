// Passwords: their rules, and scrypt (RFC 7914) on a queue of its own. One is computed at a time: each takes 32 MiB and
// about a tenth of a second, which no event loop may wait for.
import Crypto
import CryptoExtras
import Dispatch
import FoundationEssentials
import RPC
import ServiceKit
import Synchronization

final class Passwords: Sendable {
  static let minimumCharacters = 12
  static let maximumBytes = 1024
  /// Computations that may wait; the next one is refused.
  static let maximumWaiting = 32
  static let saltSize = 16
  static let hashSize = 32

  struct Cost: Sendable, Equatable {
    /// N = 2^15, r = 8, p = 1: 32 MiB and more than a tenth of a second. They are stored with each hash, so that
    /// raising them leaves older passwords working.
    static let standard = Cost(rounds: 1 << 15, blockSize: 8, parallelism: 1)

    var rounds: Int
    var blockSize: Int
    var parallelism: Int
  }

  private let cost: Cost
  private let random: RandomBytes
  /// Compared with when there is no such user, so that the answer takes the same time.
  private let nobody: StoredPassword
  private let queue = DispatchQueue(label: "fileferry.auth.scrypt")
  private let waiting = Atomic<Int>(0)
  private let computed = Atomic<Int>(0)

  init(cost: Cost = .standard, random: @escaping RandomBytes = SystemRandom.bytes) {
    self.cost = cost
    self.random = random
    nobody = .with {
      $0.rounds = Int64(cost.rounds)
      $0.blockSize = Int64(cost.blockSize)
      $0.parallelism = Int64(cost.parallelism)
      $0.salt = random(Self.saltSize)
      $0.hash = random(Self.hashSize)
    }
  }

  /// How many were computed; a test tells by it that an unknown user costs as much as a known one.
  var computations: Int { computed.load(ordering: .relaxed) }

  /// - Throws: INVALID_ARGUMENT with the rule that it breaks.
  static func checkRules(_ password: String) throws(RPCError) {
    guard password.count >= minimumCharacters else {
      throw .invalid(
        "The password has fewer than \(minimumCharacters) characters.",
        next: "Choose one of at least \(minimumCharacters) characters.", problem: "PASSWORD_TOO_SHORT",
        subject: "password")
    }
    try checkSize(password)
  }

  static func checkSize(_ password: String) throws(RPCError) {
    guard password.utf8.count <= maximumBytes else {
      throw .invalid(
        "The password has more than \(maximumBytes) bytes.", next: "Choose a shorter one.",
        problem: "PASSWORD_TOO_LONG", subject: "password")
    }
  }

  func hash(_ password: String) async throws(RPCError) -> StoredPassword {
    var stored = nobody
    stored.salt = random(Self.saltSize)
    stored.hash = try await scrypt(password, stored)
    return stored
  }

  /// Whether a password is the stored one. Takes the same time when there is none stored.
  func matches(_ password: String, _ stored: StoredPassword?) async throws(RPCError) -> Bool {
    let expected = stored ?? nobody
    let actual = try await scrypt(password, expected)
    return ConstantTime.equal(actual, expected.hash) && stored != nil
  }

  private func scrypt(_ password: String, _ stored: StoredPassword) async throws(RPCError) -> [UInt8] {
    guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= Self.maximumWaiting else {
      waiting.wrappingSubtract(1, ordering: .relaxed)
      throw .told(
        .resourceExhausted, "OVERLOADED", "Too many people are signing in at this moment.",
        next: "Try again in a few seconds.", retryable: true)
    }
    let isUnwanted = Flag()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (reply: CheckedContinuation<Result<[UInt8], RPCError>, Never>) in
        queue.async { [self] in
          waiting.wrappingSubtract(1, ordering: .relaxed)
          guard !isUnwanted.isRaised else {
            reply.resume(returning: .failure(RPCError(.cancelled, "The caller went away.")))
            return
          }
          computed.wrappingAdd(1, ordering: .relaxed)
          reply.resume(returning: Self.derive(password, stored))
        }
      }
    } onCancel: {
      isUnwanted.raise()
    }
    return try result.get()
  }

  private static func derive(_ password: String, _ stored: StoredPassword) -> Result<[UInt8], RPCError> {
    do {
      let key = try KDF.Scrypt.deriveKey(
        from: Array(password.utf8), salt: stored.salt, outputByteCount: hashSize, rounds: Int(stored.rounds),
        blockSize: Int(stored.blockSize), parallelism: Int(stored.parallelism))
      return .success(key.withUnsafeBytes { Array($0) })
    } catch {
      // Only for parameters that scrypt does not have, or no memory.
      return .failure(.fault("The password could not be checked."))
    }
  }
}

/// Raised when a caller went away before its turn came: what nobody waits for is not computed.
private final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isRaised: Bool { value.load(ordering: .relaxed) }
  func raise() { value.store(true, ordering: .relaxed) }
}

enum ConstantTime {
  /// Takes the same time for all texts of one length.
  static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
  }
}

enum PasswordGenerator {
  static let length = 20
  /// Without the letters and digits that look alike in some fonts: 0 O o, 1 l I.
  static let alphabet = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789".utf8)

  /// About 116 bits.
  static func make(_ random: RandomBytes) -> String {
    var characters: [UInt8] = []
    while characters.count < length {
      // Bytes beyond the last whole run of the alphabet would make its first letters likelier.
      for byte in random(length) where Int(byte) < 256 / alphabet.count * alphabet.count && characters.count < length {
        characters.append(alphabet[Int(byte) % alphabet.count])
      }
    }
    return String(decoding: characters, as: UTF8.self)
  }
}
