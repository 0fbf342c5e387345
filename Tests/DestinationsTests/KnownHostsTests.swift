// known_hosts files as ssh-keyscan and ssh-keygen -H write them, and as people break them.
import Crypto
import Foundation
import Testing

@testable import Destinations

@Suite struct KnownHostsTests {
  /// A key blob of a type: its name, and bytes that tell keys apart.
  private static func key(_ number: UInt8, _ type: String = "ssh-ed25519") -> (line: String, fingerprint: String) {
    let blob = Data([0, 0, 0, UInt8(type.utf8.count)]) + Data(type.utf8) + Data([0, 0, 0, 32]) + Data(repeating: number, count: 32)
    let digest = Data(SHA256.hash(data: blob)).base64EncodedString().prefix { $0 != "=" }
    return ("\(type) \(blob.base64EncodedString())", "SHA256:\(digest)")
  }

  private static func hashed(_ name: String) -> String {
    let salt = Data(repeating: 7, count: 20)
    let code = HMAC<Insecure.SHA1>.authenticationCode(for: Data(name.utf8), using: SymmetricKey(data: salt))
    return "|1|\(salt.base64EncodedString())|\(Data(code).base64EncodedString())"
  }

  private let one = Self.key(1), two = Self.key(2), three = Self.key(3, "ecdsa-sha2-nistp256")

  @Test("names are plain, in lists, with wildcards, negated or hashed")
  func names() throws {
    let file = try KnownHosts(
      """
      # a comment

      sftp.example.com,192.0.2.7 \(one.line) me@here
      *.example.org,!old.example.org\t\(two.line)\r
      \(Self.hashed("hidden.example.com")) \(three.line)
      """)
    #expect(file.fingerprints(host: "SFTP.example.com", port: 22) == [one.fingerprint])
    #expect(file.fingerprints(host: "192.0.2.7", port: 22) == [one.fingerprint])
    #expect(file.fingerprints(host: "a.b.example.org", port: 22) == [two.fingerprint])
    #expect(file.fingerprints(host: "old.example.org", port: 22) == [])
    #expect(file.fingerprints(host: "hidden.example.com", port: 22) == [three.fingerprint])
    #expect(file.fingerprints(host: "example.com", port: 22) == [])
  }

  @Test("a port of its own comes first, then the host alone")
  func ports() throws {
    let file = try KnownHosts("[h.example]:2222 \(one.line)\nh.example \(two.line)")
    #expect(file.fingerprints(host: "h.example", port: 2222) == [one.fingerprint])
    #expect(file.fingerprints(host: "h.example", port: 22) == [two.fingerprint])
    #expect(file.fingerprints(host: "h.example", port: 2022) == [two.fingerprint])
  }

  @Test("a revoked key counts nowhere, an authority's is left out")
  func markers() throws {
    let file = try KnownHosts(
      "h \(one.line)\nh \(two.line)\nh \(two.line)\n@revoked * \(one.line)\n@cert-authority h \(three.line)")
    #expect(file.fingerprints(host: "h", port: 22) == [two.fingerprint])
  }

  @Test("a line that can't be read is told with its number", arguments: [
    ("h ssh-ed25519", "has no names, type and key"), ("h ssh-ed25519 AAAA", "has a key that is none of the type"),
    ("h ssh-rsa \(key(1).line.split(separator: " ")[1])", "has a key that is none of the type ssh-rsa"),
    ("|1|x \(key(1).line)", "has a hashed name"), ("@trusted h \(key(1).line)", "has the marker @trusted"),
  ])
  func malformed(_ line: String, _ reason: String) {
    do throws(KnownHosts.Malformed) {
      _ = try KnownHosts("# first\n\(line)\n")
      Issue.record("it was taken")
    } catch {
      #expect(error.line == 2 && error.reason.hasPrefix(reason), "\(error)")
    }
  }

  @Test("many wildcards take no longer for it", .timeLimit(.minutes(1)))
  func wildcards() throws {
    let pattern = String(repeating: "*a", count: 400) + "b"
    let file = try KnownHosts("\(pattern) \(one.line)")
    #expect(file.fingerprints(host: String(repeating: "a", count: 5000), port: 22) == [])
  }
}
