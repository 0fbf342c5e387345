// SHA-256 and GMAC computed by the server itself, by a command over an exec channel: the bytes don't travel back. Off unless
// allowed. Whatever such a command says that isn't plainly a digest, or disagrees with a sample that is read, is not
// believed: the bytes are read back instead.
import Crypto
import NIOCore
import Synchronization
import Transport

public enum RemoteHashPolicy: Sendable, Equatable {
  /// Bytes are read back.
  case never
  /// Commands are run on the server where the login may; where not, bytes are read back.
  case whereOffered
}

/// One server's way to hash, found out once.
actor SFTPRemoteHash {
  /// Below this, reading back is faster than starting programs.
  static let smallest: Int64 = 4 << 20
  /// Of each file that much is read as well, to see that the command sees the same file.
  static let sample: Int64 = 64 << 10
  private static let patience = Duration.seconds(20)
  /// A server that hashes slower than this (bytes a second) is not waited for.
  private static let slowest: Int64 = 8 << 20

  /// Fastest first, as far as that can be told: openssl uses the processor's SHA instructions, coreutils don't.
  private static let programs = ["openssl dgst -sha256 -r", "sha256sum", "shasum -a 256", "busybox sha256sum"]
  private static let cut = "dd bs=65536 iflag=skip_bytes,count_bytes,fullblock"

  /// What the server can do.
  struct Programs: Sendable {
    /// For SHA-256.
    var sha256: String
    var hasGMAC: Bool
  }

  private let pool: SFTPPool
  private let login: String
  private var search: Task<Programs?, Never>?

  /// - Parameter login: the user's name; what a command may do depends on it.
  init(_ pool: SFTPPool, login: String) { (self.pool, self.login) = (pool, login) }

  /// What the server has; nil if it has nothing or allows nothing.
  func programs() async -> Programs? {
    if let search { return await search.value }
    let task = Task { [pool, login] () -> Programs? in
      let server = await pool.server.map { "\(login)@\($0.hostKey.fingerprint)" }
      if let server, let known = RememberedPrograms.shared.recall(server) { return known }
      let found = await Self.find(on: pool)
      if let server, let found { RememberedPrograms.shared.keep(found, of: server) }
      return found
    }
    search = task
    return await task.value
  }

  /// Each program is given a text whose digest is known, cut out by the same dd that files will be; what makes GMACs comes first.
  private static func find(on pool: SFTPPool) async -> Programs? {
    let known = SFTPReader.sha256(ByteBuffer(string: "de")).hexadecimal
    let trial = GMACParameters(key: Array(0..<UInt8(GMACParameters.keyLength)), message: (1, 2))
    let knownGMAC = Array("de".utf8).withUnsafeBytes { GMAC.code(of: $0, trial) }
    let tries = ([gmac(trial)] + programs).map {
      "printf abcdefgh | \(cut) skip=3 count=2 2>/dev/null | \($0) 2>/dev/null || echo"
    }
    let script = tries.joined(separator: "; ")
    return try? await pool.withConnection { (connection) async throws(SFTPError) in
      guard let command = await connection.start("sh -c \(quoted(script))") else { return nil }
      await connection.endInput(of: command)
      let code = await connection.line(of: command, within: patience).flatMap { gmac($0) }
      var found: Programs?
      for program in programs {
        guard let line = await connection.line(of: command, within: patience) else { break }
        if digest(line)?.hexadecimal == known {
          found = Programs(sha256: program, hasGMAC: code == knownGMAC)
          break
        }
      }
      await connection.end(command)
      return found
    }
  }

  /// For a POSIX shell, and for others of its kind: nothing has a meaning between single quotes but a single quote.
  static func quoted(_ text: String) -> String {
    "'" + text.replacing("'", with: "'\\''") + "'"
  }

  /// The digest that a line begins with; nil if it doesn't begin with one and nothing else.
  static func digest(_ line: String) -> ContentDigest? {
    guard let bytes = bytes(line.prefix { $0 != " " }), bytes.count == SHA256.byteCount else { return nil }
    return ContentDigest(sha256: bytes)
  }

  /// What OpenSSL's program prints: capitals, and nothing behind them.
  static func gmac(_ line: String) -> [UInt8]? {
    let bytes = bytes(Substring(line.lowercased()))
    return bytes?.count == GMACParameters.codeLength ? bytes : nil
  }

  /// Of a word in hexadecimal without capitals; nil if it is something else.
  private static func bytes(_ word: Substring) -> [UInt8]? {
    word.contains(where: \.isUppercase) ? nil : [UInt8](hexadecimal: word)
  }

  // MARK: The commands

  /// Reads lines "SKIP COUNT" and answers each with the digest of that range of the file. All of a file goes to the program
  /// by itself: through dd and a pipe it takes half as long again.
  static func rangeHasher(_ program: String, of path: String) -> String {
    let isAll = "[ $s = 0 ] && [ \"$(stat -c %s \"$1\" 2>/dev/null)\" = $n ]"
    let range = "\(cut) if=\"$1\" skip=$s count=$n 2>/dev/null | \(program)"
    let script =
      "[ -f \"$1\" ] && while read -r s n; do if \(isAll); then \(program) <\"$1\"; else \(range); fi || exit; done"
    return "sh -c \(quoted(script)) sh \(quoted(path))"
  }

  /// Reads lines "SKIP COUNT", each relative to the one before, and answers at the end with the digest of all.
  static func wholeHasher(_ program: String, of path: String) -> String {
    let copy = "\(cut) skip=$s count=$n <&3 2>/dev/null || exit"
    let script = "[ -f \"$1\" ] && while read -r s n; do \(copy); done 3<\"$1\" | \(program)"
    return "sh -c \(quoted(script)) sh \(quoted(path))"
  }

  /// OpenSSL 3's program that makes the GMAC of its input: in a third of the time that SHA-256 takes.
  private static func gmac(_ parameters: GMACParameters) -> String {
    "openssl mac -cipher AES-128-GCM -macopt hexkey:\(parameters.key.hexadecimal) "
      + "-macopt hexiv:\(parameters.nonce.hexadecimal) GMAC"
  }

  /// Answers with the GMAC of all of a file, if it has that size.
  static func gmac(of path: String, size: Int64, _ parameters: GMACParameters) -> String {
    let script = "[ \"$(stat -c %s \"$1\" 2>/dev/null)\" = \(size) ] && \(gmac(parameters)) <\"$1\" 2>/dev/null"
    return "sh -c \(quoted(script)) sh \(quoted(path))"
  }

  static func patience(_ bytes: Int) -> Duration { patience + .seconds(Int64(bytes) / slowest) }
}

/// What servers were found to have, for a while: to ask costs each delivery a tenth of a second. A program that is gone meanwhile
/// is found out when it answers nothing.
private final class RememberedPrograms: Sendable {
  static let shared = RememberedPrograms()
  private static let lifetime = Duration.seconds(600)
  private static let most = 256

  private let known = Mutex<[String: (programs: SFTPRemoteHash.Programs, end: ContinuousClock.Instant)]>([:])

  /// - Parameter server: its host key's fingerprint, and the user.
  func recall(_ server: String) -> SFTPRemoteHash.Programs? {
    known.withLock { known in
      guard let found = known[server], found.end > .now else { return nil }
      return found.programs
    }
  }

  func keep(_ programs: SFTPRemoteHash.Programs, of server: String) {
    known.withLock { known in
      if known.count >= Self.most { known = known.filter { $0.value.end > .now } }
      if known.count >= Self.most { known.removeAll() }
      known[server] = (programs, .now + Self.lifetime)
    }
  }
}

extension SFTPReader {
  /// As RemoteFile.readBack: by the server's own hash where that is allowed and works, else by reading.
  func prove(
    chunks: Int, hashesWhole: Bool, _ hashing: SFTPRemoteHash?, whenWritten: ChunkGate, onChunk: ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    var told = 0
    if let hashing, chunks > 0 {
      // Those that follow are about as long, as a rule.
      let isLarge = Int64(try await whenWritten(0).range.count) * Int64(chunks) >= SFTPRemoteHash.smallest
      if isLarge, let program = await hashing.programs()?.sha256,
        let whole = try await hash(chunks, program, &told, whenWritten, onChunk) { return whole }
    }
    // What was told of before isn't told again, but it is read again, for the digest of the whole.
    let before = told
    return try await readBack(
      chunks: chunks, hashesWhole: hashesWhole,
      whenWritten: { (index) async throws(DestinationError) in
        var chunk = try await whenWritten(index)
        if index < before { chunk.code = .sha256FromStart }
        return chunk
      },
      onChunk: { (chunk) async throws(DestinationError) in
        if chunk.index >= before { try await onChunk(chunk) }
      })
  }

  /// Nil if the server's word is missing or can't be believed. `told` counts the chunks that `onChunk` has been told.
  private func hash(
    _ chunks: Int, _ program: String, _ told: inout Int, _ whenWritten: ChunkGate, _ onChunk: ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    // The commands don't hold the connection: others call on it meanwhile.
    let lease = try await pool.lease()
    let connection = lease.connection
    let ranges = await connection.start(SFTPRemoteHash.rangeHasher(program, of: name))
    let whole = chunks > 1 ? await connection.start(SFTPRemoteHash.wholeHasher(program, of: name)) : nil
    func end() async {
      for command in [ranges, whole] { if let command { await connection.end(command) } }
      await pool.giveBack(lease)
    }
    do throws(DestinationError) {
      guard let ranges, chunks == 1 || whole != nil else {
        await end()
        return nil
      }
      var digest: ContentDigest?
      var all: Range<Int64>?  // of the chunks up to this one
      for index in 0..<chunks {
        let written = try await whenWritten(index)
        let chunk = written.range
        let start = all?.lowerBound ?? chunk.lowerBound
        all = start..<chunk.upperBound
        guard let hashed = written.code.hashedRange(of: chunk, from: start) else { break }
        if index == 0, !(try await isSameFile(chunk, ranges, connection)) { break }
        await connection.send("\(hashed.lowerBound) \(hashed.count)\n", to: ranges)
        if let whole { await connection.send("\(index == 0 ? start : 0) \(chunk.count)\n", to: whole) }
        let line = await connection.line(of: ranges, within: SFTPRemoteHash.patience(hashed.count))
        guard let line, let found = SFTPRemoteHash.digest(line) else { break }
        try await onChunk(RemoteChunk(index: index, range: chunk, code: found.bytes))
        told = index + 1
        if whole == nil { digest = found }
      }
      if told == chunks, let whole, let all {
        await connection.endInput(of: whole)
        let line = await connection.line(of: whole, within: SFTPRemoteHash.patience(all.count))
        digest = line.flatMap { SFTPRemoteHash.digest($0) }
      }
      await end()
      return told == chunks ? digest : nil
    } catch {
      await end()
      throw error
    }
  }

  /// As RemoteFile.code.
  func code(
    of size: Int64, _ parameters: GMACParameters, _ hashing: SFTPRemoteHash
  ) async throws(DestinationError) -> [UInt8]? {
    guard size >= SFTPRemoteHash.smallest, let programs = await hashing.programs(), programs.hasGMAC else { return nil }
    let lease = try await pool.lease()
    let connection = lease.connection
    let making = await connection.start(SFTPRemoteHash.gmac(of: name, size: size, parameters))
    let ranges = await connection.start(SFTPRemoteHash.rangeHasher(programs.sha256, of: name))
    func end() async {
      for command in [making, ranges] { if let command { await connection.end(command) } }
      await pool.giveBack(lease)
    }
    do throws(DestinationError) {
      var code: [UInt8]?
      if let making, let ranges, try await isSameFile(0..<size, ranges, connection) {
        let line = await connection.line(of: making, within: SFTPRemoteHash.patience(Int(size)))
        code = line.flatMap { SFTPRemoteHash.gmac($0) }
      }
      await end()
      return code
    } catch {
      await end()
      throw error
    }
  }

  /// A login's shell may see other folders than its SFTP does: the first bytes of the first chunk say so.
  private func isSameFile(
    _ range: Range<Int64>, _ ranges: SSHCommand, _ connection: SFTPConnection
  ) async throws(DestinationError) -> Bool {
    let sample = range.lowerBound..<min(range.upperBound, range.lowerBound + SFTPRemoteHash.sample)
    await connection.send("\(sample.lowerBound) \(sample.count)\n", to: ranges)
    let read = Self.sha256(try await read(sample))
    let line = await connection.line(of: ranges, within: SFTPRemoteHash.patience(sample.count))
    return line.flatMap { SFTPRemoteHash.digest($0) } == read
  }
}
