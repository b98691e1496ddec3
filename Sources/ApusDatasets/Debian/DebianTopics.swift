/// The topics of Debian packages: twelve classes made of the sections of the archive.
///
/// Left out are sections that say for whom a package is rather than what it does (programming
/// languages, libraries, documentation, translations, kernels, metapackages) and the mixed
/// sections `utils`, `misc`, `otherosfs` and `embedded`.
enum DebianTopics {
  /// The topics in alphabetical order; their positions are the class indices.
  static let names = sections.map(\.topic)

  private static let sections: [(topic: String, sections: [String])] = [
    ("administration", ["admin", "shells"]),
    ("databases", ["database"]),
    ("desktop", ["gnome", "gnustep", "kde", "x11", "xfce"]),
    ("development", ["devel", "vcs"]),
    ("fonts", ["fonts"]),
    ("games", ["games"]),
    ("graphics", ["graphics"]),
    ("media", ["sound", "video"]),
    ("network", ["comm", "mail", "net", "news"]),
    ("science", ["education", "electronics", "hamradio", "math", "science"]),
    ("text", ["editors", "tex", "text"]),
    ("web", ["httpd", "web"]),
  ]

  private static let indexOfSection = Dictionary(
    uniqueKeysWithValues: sections.enumerated().flatMap { index, topic in
      topic.sections.map { ($0, index) }
    })

  /// Class index of a section such as `games` or `non-free/games`; nil if it is left out.
  static func index(ofSection section: String) -> Int? {
    indexOfSection[String(section.split(separator: "/").last ?? "")]
  }
}
