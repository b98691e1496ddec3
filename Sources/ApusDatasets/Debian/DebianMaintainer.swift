/// Who keeps a Debian package, from the field `Maintainer: Name <address>`.
struct DebianMaintainer: Hashable {
  /// Name without quotes and address.
  let name: String
  /// Address without angle brackets.
  let address: String

  init(_ field: String) {
    let open = field.firstIndex(of: "<") ?? field.endIndex
    let inside = field[open...].dropFirst().prefix { $0 != ">" }
    let bare = field[..<open].filter { $0 != "\"" }
    name = bare.split(separator: " ").joined(separator: " ")
    address = String(inside)
  }

  /// Whether many share the work: the address is a mailing list, or the name says so.
  var isTeam: Bool {
    let host = address.split(separator: "@").last.map { $0.lowercased() } ?? ""
    if host.contains("lists") || host == "tracker.debian.org" { return true }
    return !Self.roles.isDisjoint(with: words)
  }

  /// What identifies a team under the names it uses: "Debian Science Team" and "Debian Science
  /// Maintainers" are the same people.
  var teamKey: String {
    var words = words
    while words.count > 1, let last = words.last, Self.roles.contains(last) { words.removeLast() }
    return words.joined(separator: " ")
  }

  /// Which of `count` groups the name falls into; the same on every machine and in every run.
  ///
  /// - Source: FNV-1a, 64 bits.
  func group(of count: Int) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return Int(hash % UInt64(count))
  }

  private var words: [String] { name.lowercased().split(separator: " ").map(String.init) }

  private static let roles: Set<String> = [
    "developers", "force", "group", "maintainers", "maintenance", "packagers", "packaging",
    "project", "strike", "task", "team",
  ]
}
