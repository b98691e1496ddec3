/// Strips English suffixes, so that forms of a word become one.
///
/// Porter's algorithm with the changes that NLTK made to it, which rouge-score uses: a list of
/// irregular words, short words in `-ies` and `-ied`, `-y` only behind consonants, and a few rules.
///
/// - Source: Porter, Program 14(3), 1980; NLTK, `PorterStemmer`, mode `NLTK_EXTENSIONS`.
struct PorterStemmer: Sendable {
  private typealias Word = [UInt8]

  private static let irregular = [
    "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "innings": "inning",
    "outings": "outing", "cannings": "canning",
  ]
  private static let unchanged: Set<String> = [
    "sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed",
  ]

  /// Suffixes of the second step, with what takes their place.
  private static let second = rules([
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"),
    ("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
    ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"),
    ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"),
    ("fulli", "ful"),
  ])
  private static let third = rules([
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""),
    ("ness", ""),
  ])
  private static let fourth = rules(
    [
      "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
      "ism", "ate", "iti", "ous", "ive", "ize",
    ].map { ($0, "") })

  private static func rules(_ pairs: [(String, String)]) -> [(suffix: Word, new: Word)] {
    pairs.map { (Word($0.0.utf8), Word($0.1.utf8)) }
  }

  /// The stem of a word in small ASCII letters and digits.
  func stem(_ text: String) -> String {
    if let stem = Self.irregular[text] { return stem }
    if Self.unchanged.contains(text) || text.utf8.count <= 2 { return text }
    var word = Word(text.utf8)
    word = plural(word)
    word = pastAndParticiple(word)
    if word.ends("y"), word.count > 2, word.dropLast().endsInConsonant {
      word = word.cut(1) + Word("i".utf8)
    }
    word = derivation(word)
    word = apply(Self.third, to: word) { $0.measure > 0 }
    word = apply(Self.fourth, to: word) { stem in
      stem.measure > 1 && (!word.ends("ion") || stem.ends("s") || stem.ends("t"))
    }
    if word.ends("e") {
      let stem = word.cut(1)
      if stem.measure > 1 || (stem.measure == 1 && !stem.endsInShortSyllable) { word = stem }
    }
    if word.ends("ll"), word.cut(1).measure > 1 { word = word.cut(1) }
    return String(decoding: word, as: UTF8.self)
  }

  /// Step 1a.
  private func plural(_ word: Word) -> Word {
    if word.ends("ies") { return word.cut(word.count == 4 ? 1 : 2) }
    if word.ends("sses") { return word.cut(2) }
    return word.ends("s") && !word.ends("ss") ? word.cut(1) : word
  }

  /// Step 1b.
  private func pastAndParticiple(_ word: Word) -> Word {
    if word.ends("ied") { return word.cut(word.count == 4 ? 1 : 2) }
    if word.ends("eed") { return word.cut(3).measure > 0 ? word.cut(1) : word }
    let length = word.ends("ed") ? 2 : word.ends("ing") ? 3 : 0
    let stem = word.cut(length)
    guard length > 0, stem.hasVowel else { return word }
    if stem.ends("at") || stem.ends("bl") || stem.ends("iz") { return stem + Word("e".utf8) }
    if stem.endsInDoubleConsonant {
      return ["l", "s", "z"].contains { stem.ends($0) } ? stem : stem.cut(1)
    }
    return stem.measure == 1 && stem.endsInShortSyllable ? stem + Word("e".utf8) : stem
  }

  /// Step 2.
  private func derivation(_ word: Word) -> Word {
    if word.ends("alli"), word.cut(4).measure > 0 { return derivation(word.cut(2)) }
    // Here the l belongs to the stem, so that "geo" behaves like "archaeo".
    if word.ends("logi") { return word.cut(3).measure > 0 ? word.cut(1) : word }
    return apply(Self.second, to: word) { $0.measure > 0 }
  }

  /// Applies the first rule whose suffix the word has, if its stem is fit.
  private func apply(
    _ rules: [(suffix: Word, new: Word)], to word: Word, if isFit: (Word) -> Bool
  ) -> Word {
    guard let rule = rules.first(where: { word.hasSuffix($0.suffix) }) else { return word }
    let stem = word.cut(rule.suffix.count)
    return isFit(stem) ? stem + rule.new : word
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ suffix: [UInt8]) -> Bool {
    count >= suffix.count && self[(count - suffix.count)...].elementsEqual(suffix)
  }

  fileprivate func ends(_ suffix: String) -> Bool { hasSuffix([UInt8](suffix.utf8)) }

  fileprivate func cut(_ length: Int) -> [UInt8] { Array(dropLast(length)) }

  /// For each letter whether it is a consonant; y is one unless it follows one.
  private var consonants: [Bool] {
    var flags: [Bool] = []
    for letter in self {
      switch letter {
      case 0x61, 0x65, 0x69, 0x6F, 0x75: flags.append(false)
      case 0x79: flags.append(!(flags.last ?? false))
      default: flags.append(true)
      }
    }
    return flags
  }

  /// m of [C](VC)ᵐ[V]: how often a consonant follows a vowel.
  fileprivate var measure: Int {
    let flags = consonants
    return zip(flags, flags.dropFirst()).count { !$0 && $1 }
  }

  fileprivate var hasVowel: Bool { consonants.contains(false) }

  fileprivate var endsInDoubleConsonant: Bool {
    count >= 2 && self[count - 1] == self[count - 2] && endsInConsonant
  }

  /// Consonant, vowel and another consonant than w, x or y; or nothing but vowel and consonant.
  fileprivate var endsInShortSyllable: Bool {
    let flags = consonants
    if count == 2 { return !flags[0] && flags[1] }
    guard count >= 3, let last else { return false }
    return flags.suffix(3) == [true, false, true] && ![0x77, 0x78, 0x79].contains(last)
  }
}

extension Collection<UInt8> {
  fileprivate var endsInConsonant: Bool {
    var isConsonant = false
    for letter in self {
      switch letter {
      case 0x61, 0x65, 0x69, 0x6F, 0x75: isConsonant = false
      case 0x79: isConsonant = !isConsonant
      default: isConsonant = true
      }
    }
    return isConsonant
  }
}
