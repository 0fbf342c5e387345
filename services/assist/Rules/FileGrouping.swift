// Counts files and bytes, in all and by kind. What looks wrong about single names is FileWarnings' part.
import FerryAPI

enum FileGrouping {
  static func analyse(_ files: [FileFacts]) -> FileAnalysis {
    var analysis = FileAnalysis()
    var groups: [String: FileGroup] = [:]
    for file in files {
      let kind = FileKind(of: file.name)
      analysis.files += 1
      analysis.bytes = sum(analysis.bytes, file.size)
      var group = groups[kind.name] ?? FileGroup.with { $0.kind = kind.name; $0.compressible = kind.compressible }
      group.files += 1
      group.bytes = sum(group.bytes, file.size)
      groups[kind.name] = group
    }
    // Equal ones by name: the same request has to get the same answer.
    analysis.groups = groups.values.sorted { ($1.bytes, $1.files, $0.kind) < ($0.bytes, $0.files, $1.kind) }
    return analysis
  }

  /// The first of the largest ones.
  static func largest(of files: [FileFacts]) -> FileFacts? {
    files.reduce(nil) { best, file in best.map { $0.size >= file.size } ?? false ? best : file }
  }

  /// Stays at the largest number instead of wrapping round.
  private static func sum(_ left: Int64, _ right: Int64) -> Int64 {
    let (total, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : total
  }
}
