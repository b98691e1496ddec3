/// Finds the word that a user probably meant.
public enum Spelling {
  /// The candidate nearest to `word`, if it is near enough to be a likely misspelling.
  ///
  /// - Returns: The candidate with the smallest edit distance, at most a third of the longer
  ///   word; nil if none is that near. Ties go to the earlier candidate.
  public static func suggestion(for word: String, in candidates: some Sequence<String>) -> String? {
    let asked = Array(normalized(word))
    var best: (distance: Int, candidate: String)?
    for candidate in candidates {
      let offered = Array(normalized(candidate))
      let distance = editDistance(asked, offered)
      guard distance * 3 <= max(asked.count, offered.count) else { continue }
      if distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    return best?.candidate
  }

  /// A remedy for an unknown name: the likely meant one, then all that are allowed.
  public static func remedy(for word: String, allowed: [String]) -> String {
    let list = "Allowed: \(allowed.joined(separator: ", "))"
    guard let meant = suggestion(for: word, in: allowed) else { return list }
    return "Did you mean \"\(meant)\"? \(list)"
  }

  /// The name of a Swift property as files write it: `localEpochs` → `local-epochs`.
  ///
  /// Underscores count as hyphens, so that `local_epochs` gives the same.
  public static func kebab(_ name: String) -> String {
    var result = ""
    for character in name {
      if character.isUppercase, let last = result.last, !last.isUppercase, last != "-" {
        result += "-"
      }
      result += character == "_" ? "-" : character.lowercased()
    }
    return result
  }

  private static func normalized(_ word: String) -> String {
    String(word.lowercased().map { $0 == "_" || $0 == " " ? "-" : $0 })
  }

  /// Number of insertions, deletions, replacements and swaps of neighbours between two words.
  private static func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
    var rows = [Array(0...b.count)]
    for i in 1...a.count {
      var row = [i] + Array(repeating: 0, count: b.count)
      for j in 1...b.count {
        let replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
        row[j] = min(replaced, rows[i - 1][j] + 1, row[j - 1] + 1)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
          row[j] = min(row[j], rows[i - 2][j - 2] + 1)
        }
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
