// SSH's counter mode made in pages: the same bytes as OpenSSL's own, whatever the pieces.
import CSSH2
import Testing

@testable import Transport

@Suite struct SSHKeystreamTests {
  /// AES in counter mode as libssh2 sets it up.
  private final class Context {
    let raw = EVP_CIPHER_CTX_new()
    init() {
      let (key, counter) = ([UInt8](0..<32), [UInt8](repeating: 0xff, count: 16))  // overflows at once
      EVP_CipherInit(raw, EVP_aes_256_ctr(), key, counter, 1)
    }
    deinit { SSHKeystream.release(raw) }
  }

  private func plain(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

  private func expected(_ text: [UInt8]) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: text.count)
    let context = Context()
    withExtendedLifetime(context) {
      #expect(SSHKeystream.cipher(context.raw, &out, text, UInt32(text.count)) == Int32(text.count))
    }
    return out
  }

  @Test("blocks of 16 bytes over several pages have the bytes of one long call")
  func blocks() {
    let text = plain(3 * Int(FERRY_KEYSTREAM_PAGE) + 160)
    let context = Context()
    var out: [UInt8] = []
    for start in stride(from: 0, to: text.count, by: 16) {
      var block = Array(text[start..<start + 16])
      let result = block.withUnsafeMutableBufferPointer { SSHKeystream.encipher(context.raw, $0.baseAddress, $0.baseAddress, 16) }
      #expect(result == 16)
      out += block
    }
    withExtendedLifetime(context) {}
    #expect(out == expected(text))
  }

  @Test("odd pieces after a first block go on where it ended")
  func pieces() {
    let text = plain(20_000)
    let context = Context()
    var (out, start) = ([UInt8](), 0)
    for length in [16, 1, 15, 4097, 3, 8192, 16, 7_660] {
      var piece = [UInt8](repeating: 0, count: length)
      #expect(SSHKeystream.encipher(context.raw, &piece, Array(text[start..<start + length]), UInt32(length)) == Int32(length))
      out += piece
      start += length
    }
    withExtendedLifetime(context) {}
    #expect(out == expected(Array(text[..<start])))
  }

  @Test("what is not counter mode goes to libcrypto as it is")
  func otherModes() {
    let (key, vector, text) = ([UInt8](0..<16), [UInt8](16..<32), plain(16))
    func encrypt(_ cipher: (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, UInt32) -> Int32) -> [UInt8] {
      let context = EVP_CIPHER_CTX_new()
      defer { SSHKeystream.release(context) }
      EVP_CipherInit(context, EVP_aes_128_cbc(), key, vector, 1)
      var out = [UInt8](repeating: 0, count: 32)
      _ = cipher(context, &out, text, 16)
      #expect(EVP_CIPHER_CTX_get_app_data(context) == nil)
      return out
    }
    #expect(encrypt { SSHKeystream.encipher($0, $1, $2, $3) } == encrypt(SSHKeystream.cipher))
  }

  @Test("libssh2 calls these functions, not libcrypto's")
  func inPlace() {
    #expect(SSHKeystream.isInPlace)
  }
}
