// Checks a delivery request for everything that can be told without asking anyone: bounds, names, what was left out.
import FerryAPI
import RPC
import ServiceKit

enum RequestCheck {
  static let maxSelections = 1000
  static let maxExcludes = 100
  static let maxKeyBytes = 1024
  static let maxNameBytes = 255
  static let maxTitleBytes = 500
  static let maxDescriptionBytes = 16 * 1024
  static let maxPathBytes = 4096
  static let maxIdempotencyKeyBytes = 256
  static let chunkSizes: ClosedRange<Int64> = (256 << 10)...(64 << 20)
  static let defaultChunkSize: Int64 = 8 << 20

  static func check(_ request: DeliveryRequest?) throws(RPCError) -> DeliveryRequest {
    guard let request else {
      throw .invalid("The call holds no delivery request.", next: "Say what to deliver, and where to.")
    }
    try text(request.assignmentGroup, maxNameBytes, "assignment group")
    try text(request.title, maxTitleBytes, "title")
    try text(request.description, maxDescriptionBytes, "description", multiline: true)
    try text(request.path, maxPathBytes, "path")
    try check(request.source ?? Source())
    let options = request.options ?? DeliveryOptions()
    guard options.chunkSize == 0 || chunkSizes.contains(options.chunkSize) else {
      throw .invalid(
        "A chunk size of \(options.chunkSize) bytes was asked for.",
        next: "Give \(chunkSizes.lowerBound) to \(chunkSizes.upperBound) bytes, or 0 for \(defaultChunkSize).")
    }
    try check(compression: options)
    guard [.unspecified, .overwrite, .fail, .skipIfEqual, .keepBoth].contains(options.onConflict) else {
      throw .invalid(
        "What to do with files that are there is not known.",
        next: "Ask to overwrite, to fail, to skip equal ones, or to keep both.")
    }
    guard [.unspecified, .sha256, .size, .checksum].contains(options.proof) else {
      throw .invalid("This proof is not known.", next: "Ask for SHA-256, for the server's checksum, or for the size alone.")
    }
    guard (0...0o777).contains(options.fileMode), (0...0o777).contains(options.folderMode) else {
      throw .invalid("Permissions are over 0777.", next: "Give the nine bits for owner, group and others, such as 0640.")
    }
    if let wanted = options.bandwidth { _ = try bandwidth(wanted) }
    if let mapping = options.names {
      _ = try names(mapping, NameMapper.Delivery(ticket: "", group: "", environment: .unspecified, time: Timestamp()))
    }
    guard [.unspecified, .keep, .flatten].contains(options.folders) else {
      throw .invalid("What to do with folders is not known.", next: "Ask to keep or to flatten them.")
    }
    guard (0...4).contains(request.priority.rawValue), (0...3).contains(request.environment.rawValue) else {
      throw .invalid("The priority or the environment is not known.", next: "Choose one of those that are offered.")
    }
    return request
  }

  private static func check(compression options: DeliveryOptions) throws(RPCError) {
    guard [.unspecified, .none, .gzip, .zstd, .automatic].contains(options.compression) else {
      throw .invalid("This compression is not known.", next: "Ask for none, gzip, zstd or automatic.")
    }
    guard options.compressionLevel != 0 else { return }
    let level = options.compressionLevel
    let format = options.compression == .automatic ? Compression.automaticFormat : options.compression
    guard let levels = format.format?.levels else {
      throw .invalid(
        "Level \(level) was asked for, and no compression.", next: "Ask for gzip, zstd or automatic, or leave the level out.")
    }
    guard levels.contains(Int(level)) else {
      throw .invalid(
        "There is no level \(level) of \(format.word).",
        next: "Give \(levels.lowerBound) to \(levels.upperBound), or 0 for the default.")
    }
  }

  private static func check(_ source: Source) throws(RPCError) {
    try text(source.connection, maxNameBytes, "connection")
    try text(source.bucket, maxNameBytes, "bucket")
    if source.bucket.isEmpty { throw .invalid("The request names no bucket.", next: "Say where the files are.") }
    guard !source.selections.isEmpty else {
      throw .invalid(
        "The request selects no files.", next: "Give at least one key or prefix.", problem: "NOTHING_SELECTED")
    }
    guard source.selections.count <= maxSelections else {
      throw .invalid(
        "The request has \(source.selections.count) selections.",
        next: "Give at most \(maxSelections); a prefix selects many files at once.")
    }
    for selection in source.selections {
      guard [.unspecified, .key, .prefix, .glob].contains(selection.kind) else {
        throw .invalid("A selection's kind is not known.", next: "Select by key, by prefix or by glob.")
      }
      if selection.kind == .glob { _ = try glob(selection.value) }
      if selection.kind == .key, selection.value.isEmpty {
        throw .invalid("A selected key is empty.", next: "Give the object's key.")
      }
      guard selection.value.utf8.count <= maxKeyBytes, !selection.value.utf8.contains(0) else {
        throw .invalid("A selected key is over \(maxKeyBytes) bytes or holds a NUL.", next: "Check the key.")
      }
    }
    guard source.excludes.count <= maxExcludes else {
      throw .invalid("The request has \(source.excludes.count) excludes.", next: "Give at most \(maxExcludes).")
    }
    for pattern in source.excludes { _ = try glob(pattern) }
  }

  static func glob(_ pattern: String) throws(RPCError) -> Glob {
    do throws(Glob.Malformed) { return try Glob(pattern) } catch {
      throw .invalid(
        "The pattern \(String(pattern.prefix(100)).debugDescription) \(error.reason).",
        next: "Write it like in/**/*.csv; a backslash takes a special character as it is.", problem: "PATTERN_INVALID")
    }
  }

  static func bandwidth(_ wanted: Bandwidth) throws(RPCError) -> BandwidthSchedule {
    do throws(BandwidthSchedule.Malformed) { return try BandwidthSchedule(wanted) } catch {
      throw .invalid(
        "The bandwidth \(error.reason).", next: "Give bytes a second, times like 08:00, and a zone like Europe/Berlin.",
        problem: "BANDWIDTH_INVALID")
    }
  }

  static func names(_ mapping: NameMapping, _ delivery: NameMapper.Delivery) throws(RPCError) -> NameMapper {
    do throws(NameMapper.Malformed) { return try NameMapper(mapping, delivery) } catch {
      throw .invalid(
        "The mapping of names \(error.reason).", next: "Write a template like {stem}-{date}.{ext}.",
        problem: "NAMES_INVALID")
    }
  }

  private static func text(
    _ text: String, _ bytes: Int, _ what: String, multiline: Bool = false
  ) throws(RPCError) {
    guard text.utf8.count <= bytes else {
      throw .invalid("The \(what) has \(text.utf8.count) bytes.", next: "Keep it within \(bytes).")
    }
    let broken = text.unicodeScalars.contains { scalar in
      scalar.value < 0x20 && !(multiline && (scalar == "\n" || scalar == "\t" || scalar == "\r"))
    }
    if broken { throw .invalid("The \(what) holds a control character.", next: "Take it out.") }
  }

  static func idempotencyKey(_ key: String) throws(RPCError) {
    guard key.utf8.count <= maxIdempotencyKeyBytes, !key.utf8.contains(0) else {
      throw .invalid(
        "The idempotency key is over \(maxIdempotencyKeyBytes) bytes or holds a NUL.", next: "Use a shorter one.")
    }
  }
}
