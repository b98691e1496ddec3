extension PatternProgram {
  /// All matches in the part `range`, from left to right and apart from each other.
  ///
  /// A match may be empty; anchors and what looks around see nothing outside of `range`.
  func matches(
    in scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>
  ) -> [Range<Int>] {
    var found: [Range<Int>] = []
    found.reserveCapacity(range.count / 4 + 1)
    scalars.withUnsafeBufferPointer { text in
      instructions.withUnsafeBufferPointer { instructions in
        sets.withUnsafeBufferPointer { sets in
          var matcher = Matcher(
            text: text, range: range, instructions: instructions, sets: sets, firsts: firsts)
          var place = range.lowerBound
          while place <= range.upperBound {
            guard let end = matcher.match(from: 0, at: place) else {
              place += 1
              continue
            }
            if end > place || found.last?.upperBound != place { found.append(place..<end) }
            place = max(end, place + 1)
          }
        }
      }
    }
    return found
  }

  /// Runs the instructions on one text.
  private struct Matcher {
    let text: UnsafeBufferPointer<Unicode.Scalar>
    let range: Range<Int>
    let instructions: UnsafeBufferPointer<Instruction>
    let sets: UnsafeBufferPointer<ScalarSet>
    let firsts: ContiguousArray<ASCIISet>
    /// Where to go on if the present way fails; a run gives back down to `least`.
    private var choices: ContiguousArray<(instruction: Int, place: Int, least: Int)> = []

    init(
      text: UnsafeBufferPointer<Unicode.Scalar>, range: Range<Int>,
      instructions: UnsafeBufferPointer<Instruction>, sets: UnsafeBufferPointer<ScalarSet>,
      firsts: ContiguousArray<ASCIISet>
    ) {
      self.text = text
      self.range = range
      self.instructions = instructions
      self.sets = sets
      self.firsts = firsts
    }

    /// The end of the match that begins at `start`, if there is one.
    mutating func match(from first: Int, at start: Int) -> Int? {
      let floor = choices.count
      var (current, place) = (first, start)
      while true {
        let instruction = instructions[current]
        if instruction.operation == .accept {
          choices.removeSubrange(floor...)
          return place
        }
        if step(instruction, &current, &place) { continue }
        guard choices.count > floor, let choice = choices.popLast() else { return nil }
        current = choice.instruction
        place = choice.place
        if place > choice.least { choices.append((current, place - 1, choice.least)) }
      }
    }

    /// Executes one instruction; false if it does not match.
    @inline(__always)
    private mutating func step(
      _ instruction: Instruction, _ current: inout Int, _ place: inout Int
    ) -> Bool {
      switch instruction.operation {
      case .one:
        guard place < range.upperBound, sets[Int(instruction.a)].contains(text[place]) else {
          return false
        }
        place += 1
      case .run, .runPossessive:
        let start = place
        let set = sets[Int(instruction.a)]
        let limit =
          instruction.c == .max
          ? range.upperBound : min(range.upperBound, start + Int(instruction.c))
        while place < limit, set.contains(text[place]) { place += 1 }
        let least = start + Int(instruction.b)
        guard place >= least else { return false }
        if instruction.operation == .run, place > least {
          choices.append((current + 1, place - 1, least))
        }
      case .branch:
        if place < range.upperBound, text[place].value < 0x80,
          !firsts[Int(instruction.a)].contains(text[place])
        {
          current = Int(instruction.b)
          return true
        }
        choices.append((Int(instruction.b), place, place))
      case .branchLate:
        choices.append((current + 1, place, place))
        current = Int(instruction.b)
        return true
      case .jump:
        current = Int(instruction.b)
        return true
      case .look:
        let isFound = match(from: current + 1, at: place) != nil
        guard isFound == (instruction.a == 0) else { return false }
        current = Int(instruction.b)
        return true
      case .atomic:
        guard let end = match(from: current + 1, at: place) else { return false }
        place = end
        current = Int(instruction.b)
        return true
      default:
        guard holds(instruction, at: place) else { return false }
      }
      current += 1
      return true
    }

    /// Whether a condition holds that takes no text.
    private func holds(_ instruction: Instruction, at place: Int) -> Bool {
      let before = place > range.lowerBound ? text[place - 1] : nil
      let after = place < range.upperBound ? text[place] : nil
      switch instruction.operation {
      case .lookBehind:
        let isFound = before.map(sets[Int(instruction.c)].contains) ?? false
        return isFound == (instruction.a == 0)
      case .lineStart: return before == nil || (before == "\n" && after != nil)
      case .lineEnd: return after == nil || after == "\n"
      case .textStart: return before == nil
      case .textEnd:
        return after == nil
          || (instruction.a == 1 && after == "\n" && place + 1 == range.upperBound)
      case .wordBoundary:
        let isBoundary =
          (before.map(ScalarSet.word.contains) ?? false)
          != (after.map(ScalarSet.word.contains) ?? false)
        return isBoundary == (instruction.a == 0)
      default: return false
      }
    }
  }
}
