import ApusBase

/// Several decoders, one after the other.
struct DecoderSequence: TokenDecoder {
  let steps: [any TokenDecoder]

  init(_ steps: [any TokenDecoder]) { self.steps = steps }

  init(reading node: JSONNode) throws(ApusError) {
    var steps: [any TokenDecoder] = []
    for step in try node["decoders"].array() { steps.append(try TokenDecoders.make(reading: step)) }
    self.steps = steps
  }

  func decode(_ tokens: [String]) -> [String] { steps.reduce(tokens) { $1.decode($0) } }
}

/// Joins all tokens into one.
struct FuseDecoder: TokenDecoder {
  func decode(_ tokens: [String]) -> [String] { [tokens.joined()] }
}

/// Drops up to some characters of one kind at the ends of every token.
struct StripDecoder: TokenDecoder {
  let content: Unicode.Scalar
  let start: Int
  let stop: Int

  init(content: Unicode.Scalar, start: Int, stop: Int) {
    self.content = content
    self.start = start
    self.stop = stop
  }

  init(reading node: JSONNode) throws(ApusError) {
    let text = try node["content"].string().unicodeScalars
    guard let content = text.first, text.count == 1 else {
      throw node["content"].error(
        "expected one character, found \(text.count)", remedy: "Set it to what is dropped")
    }
    self.content = content
    start = try node["start"].int()
    stop = try node["stop"].int()
  }

  func decode(_ tokens: [String]) -> [String] {
    tokens.map { token in
      let scalars = Array(token.unicodeScalars)
      let leading = scalars.prefix(max(0, start)).prefix { $0 == content }.count
      let rest = scalars[leading...]
      let trailing = rest.reversed().prefix(max(0, stop)).prefix { $0 == content }.count
      return String(String.UnicodeScalarView(rest.dropLast(trailing)))
    }
  }
}

/// Replaces every occurrence of a pattern in every token.
struct ReplaceDecoder: TokenDecoder {
  let pattern: TextPattern
  let content: String

  init(pattern: TextPattern, content: String) {
    self.pattern = pattern
    self.content = content
  }

  init(reading node: JSONNode) throws(ApusError) {
    pattern = try TextPattern(reading: node["pattern"])
    content = try node["content"].string()
  }

  func decode(_ tokens: [String]) -> [String] {
    tokens.map { token in
      let scalars = ContiguousArray(token.unicodeScalars)
      var (result, done) = (String.UnicodeScalarView(), 0)
      for match in pattern.matches(in: scalars, 0..<scalars.count) {
        result.append(contentsOf: scalars[done..<match.lowerBound])
        result.append(contentsOf: content.unicodeScalars)
        done = match.upperBound
      }
      result.append(contentsOf: scalars[done...])
      return String(result)
    }
  }
}

/// Makes the visible spaces of ``Metaspace`` spaces again, and drops those of the first token.
struct MetaspaceDecoder: TokenDecoder {
  let metaspace: Metaspace

  init(metaspace: Metaspace) { self.metaspace = metaspace }

  init(reading node: JSONNode) throws(ApusError) {
    metaspace = try Metaspace(reading: node)
  }

  func decode(_ tokens: [String]) -> [String] {
    tokens.enumerated().map { index, token in
      let drops = index == 0 && metaspace.prepending != .never
      var result = String.UnicodeScalarView()
      for scalar in token.unicodeScalars {
        if scalar != metaspace.replacement {
          result.append(scalar)
        } else if !drops {
          result.append(" ")
        }
      }
      return String(result)
    }
  }
}

/// Puts a space where the suffix that ends a word stands, but for the last word.
struct SuffixDecoder: TokenDecoder {
  let suffix: TextPattern

  init(reading node: JSONNode) throws(ApusError) {
    let text = node["suffix"].exists ? try node["suffix"].string() : "</w>"
    guard !text.isEmpty else {
      throw node["suffix"].error("an empty suffix ends no word", remedy: "Set it to \"</w>\"")
    }
    suffix = .string(Array(text.unicodeScalars))
  }

  func decode(_ tokens: [String]) -> [String] {
    let words = ReplaceDecoder(pattern: suffix, content: " ").decode(Array(tokens.dropLast()))
    return words + ReplaceDecoder(pattern: suffix, content: "").decode(Array(tokens.suffix(1)))
  }
}
