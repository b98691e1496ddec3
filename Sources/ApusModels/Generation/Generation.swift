public import ApusBase
internal import ApusCore
internal import ApusTorch

extension GenerativeModel {
  /// Writes a continuation of each input.
  ///
  /// A row's result does not depend on the rows beside it: each is drawn from a stream of its own.
  ///
  /// - Parameters:
  ///   - inputs: Token ids of prompts, or of source texts for an encoder–decoder.
  ///   - options: How tokens are chosen.
  ///   - random: Where samples come from.
  ///   - firstNumber: The number of the first input, where the inputs are part of a longer list.
  /// - Returns: The tokens written for each input, its stop token included, the input not.
  /// - Throws: ``ApusError`` `.invalidConfig` for impossible options, `.invalidData` for inputs that
  ///   are empty, unknown or too long, `.tensorOperation` if the model fails.
  public func generate(
    _ inputs: [[Int]], _ options: GenerationOptions = GenerationOptions(),
    random: RandomStream = RandomStream(seed: 0), firstNumber: Int = 0
  ) throws(ApusError) -> [[Int]] {
    try options.validate()
    guard !inputs.isEmpty else { return [] }
    let start = try begin(inputs, newTokens: options.maxNewTokens)
    return options.numBeams > 1
      ? try searchBeams(start, options) : try continueRows(start, options, random, firstNumber)
  }

  /// One text a row: the likeliest token each time, or one drawn.
  private func continueRows(
    _ start: GenerationStart<Memory>, _ options: GenerationOptions, _ random: RandomStream,
    _ firstNumber: Int
  ) throws(ApusError) -> [[Int]] {
    let rule = TokenScores(options: options)
    var written = start.beginnings.map { _ in [Int]() }
    var open = Array(written.indices)  // the rows of the memory
    var logits = start.logits
    for step in 0..<options.maxNewTokens {
      let rows = open.map { start.beginnings[$0] + written[$0] }
      let scores = rule.penalized(logits, rows: rows, written: step)
      let tokens =
        options.doSample
        ? draw(
          rule.shares(scores), numbers: open.map { firstNumber + $0 },
          random.substream("token", step))
        : scores.argmax(1).ints
      try Tensor.check("generation")
      for (row, token) in zip(open, tokens) { written[row].append(token) }
      let going = tokens.indices.filter { !options.stopTokens.contains(tokens[$0]) }
      guard !going.isEmpty, step + 1 < options.maxNewTokens else { break }
      start.memory.select(going)
      open = going.map { open[$0] }
      logits = try next(after: going.map { tokens[$0] }, start.memory)
    }
    return written
  }

  /// A token of each row by its shares [B, V]; input n is drawn from stream n.
  private func draw(_ shares: Tensor, numbers: [Int], _ random: RandomStream) -> [Int] {
    let (all, width) = (shares.floats, shares.size(1))
    return numbers.enumerated().map { place, number in
      var stream = random.substream("input", number)
      let own = all[(place * width)..<((place + 1) * width)]
      var left = stream.uniform() * own.reduce(0) { $0 + Double($1) }
      var last = 0
      for (token, share) in own.enumerated() where share > 0 {
        last = token
        left -= Double(share)
        if left < 0 { break }
      }
      return last
    }
  }
}
