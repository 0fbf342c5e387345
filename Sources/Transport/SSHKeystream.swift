// Stands before two functions of libcrypto, so that SSH's AES in counter mode comes in pages and not 16 bytes a call: that
// is three quarters of what libssh2 spends on enciphering. The dynamic linker gives a program's own functions precedence
// over those of the libraries, so libssh2 calls these; whatever isn't libssh2's counter mode goes through unchanged.
import CSSH2
import Glibc

enum SSHKeystream {
  typealias Cipher =
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, UInt32
    ) -> Int32
  typealias Free = @convention(c) (OpaquePointer?) -> Void

  /// libcrypto's own.
  static var cipher: Cipher { unsafeBitCast(ferry_libcrypto_cipher(), to: Cipher.self) }
  static let free = unsafeBitCast(next("EVP_CIPHER_CTX_free"), to: Free.self)

  /// libssh2 calls the functions of this file: false where a program is linked so that it can't.
  static var isInPlace: Bool {
    let own: Cipher = ferryCipher
    return dlsym(nil, "EVP_Cipher") == unsafeBitCast(own, to: UnsafeMutableRawPointer.self)
  }

  @inline(__always)
  static func encipher(
    _ context: OpaquePointer?, _ out: UnsafeMutablePointer<UInt8>?, _ bytes: UnsafePointer<UInt8>?, _ length: UInt32
  ) -> Int32 {
    ferry_keystream_cipher(context, out, bytes, length)
  }

  static func release(_ context: OpaquePointer?) {
    ferry_keystream_end(context)
    free(context)
  }

  private static func next(_ name: String) -> UnsafeMutableRawPointer {
    // RTLD_NEXT, a macro that Swift doesn't see: the symbol behind this program's own.
    guard let found = dlsym(UnsafeMutableRawPointer(bitPattern: -1), name) else {
      fatalError("libcrypto has no \(name), which libssh2 needs")
    }
    return found
  }
}

// Public, and exported in Package.swift: only so the libraries find them.

/// libcrypto's function of that name; for libssh2, not for callers in Swift.
@_cdecl("EVP_Cipher")
public func ferryCipher(
  _ context: OpaquePointer?, _ out: UnsafeMutablePointer<UInt8>?, _ bytes: UnsafePointer<UInt8>?, _ length: UInt32
) -> Int32 {
  SSHKeystream.encipher(context, out, bytes, length)
}

/// libcrypto's function of that name; for libssh2, not for callers in Swift.
@_cdecl("EVP_CIPHER_CTX_free")
public func ferryFreeCipher(_ context: OpaquePointer?) {
  SSHKeystream.release(context)
}
