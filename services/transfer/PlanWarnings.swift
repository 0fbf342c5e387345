// What would not stop a delivery but is worth knowing before it starts.
import FerryAPI

enum PlanWarnings {
  /// Objects changed within this time may still be being written.
  static let justNow: Int64 = 60

  /// - Parameters:
  ///   - isArchived: of a storage class.
  ///   - now: seconds since 1970.
  static func of(
    _ tally: PlanTally, scheme: String, loginTried: Bool, now: Int64, isArchived: (String) -> Bool
  ) -> [Problem] {
    var warnings: [Problem] = []
    func warn(_ code: String, _ message: String, _ next: String) {
      warnings.append(.with { ($0.code, $0.message, $0.nextStep) = (code, message, next) })
    }
    let archived = tally.classes.filter { isArchived($0.key) }
    if !archived.isEmpty {
      let count = archived.values.reduce(0) { $0 + $1.files }
      warn(
        "OBJECTS_ARCHIVED",
        "\(ByteText.files(count)) lie\(count == 1 ? "s" : "") in \(archived.keys.sorted().joined(separator: ", ")), "
          + "which can't be read before a restore.",
        "Restore what is not restored yet, or leave it out.")
    }
    if tally.latestChange > now - justNow {
      warn(
        "CHANGED_JUST_NOW", "An object was changed within the last minute, so it or others may still be being written.",
        "Wait for the writer to be done. An object that changes midway fails rather than being delivered mixed.")
    }
    if tally.empty > 0 {
      warn(
        "FILES_EMPTY", "\(ByteText.files(tally.empty)) \(tally.empty == 1 ? "has" : "have") no bytes.",
        "Check that the source is complete.")
    }
    if scheme == "ftp" {
      warn(
        "NOT_ENCRYPTED", "FTP sends the password and the files readable to the networks between.",
        "Use ftpes:// (TLS) or sftp:// if the server offers one of them.")
    }
    if !loginTried {
      warn(
        "LOGIN_NOT_TRIED", "The login was not tried, because there are no credentials.",
        "Give the credentials to have the server checked as well.")
    }
    return warnings
  }
}
