/// A drawing made of characters: fine dots in braille, or one glyph a cell.
///
/// Cells remember which series drew on them, so that each is coloured once, by the last.
struct DotCanvas {
  /// How a series looks.
  enum Ink {
    /// Braille dots, eight to a cell.
    case dots
    /// A glyph of its own, for screens without colour or Unicode.
    case glyph(Character)
  }

  private struct Cell {
    var dots: UInt8 = 0
    var glyph: Character?
    var owner: Int?
  }

  /// Cells across.
  let columns: Int
  /// Cells down.
  let rows: Int
  private var cells: [Cell]

  init(columns: Int, rows: Int) {
    self.columns = columns
    self.rows = rows
    cells = Array(repeating: Cell(), count: columns * rows)
  }

  /// Joins places of the unit square, whose origin is the lower left corner, by straight lines.
  mutating func draw(_ path: [(x: Double, y: Double)], _ ink: Ink, owner: Int) {
    let isFine = if case .dots = ink { true } else { false }
    let places = path.map { place in
      let (x, y) = (dotColumn(at: place.x), dotRow(at: place.y))
      return isFine ? (x: x, y: y) : (x: x / 2, y: y / 4)
    }
    guard let first = places.first else { return }
    mark(first.x, first.y, ink, owner: owner)
    for (start, end) in zip(places, places.dropFirst()) {
      let steps = max(abs(end.x - start.x), abs(end.y - start.y), 1)
      for step in 0...steps {
        let part = Double(step) / Double(steps)
        let x = Double(start.x) + part * Double(end.x - start.x)
        let y = Double(start.y) + part * Double(end.y - start.y)
        mark(Int(x.rounded()), Int(y.rounded()), ink, owner: owner)
      }
    }
  }

  /// Draws a dashed line across at that height, behind everything that is already there.
  mutating func rule(at height: Double, _ ink: Ink, owner: Int) {
    let y = dotRow(at: height)
    for column in 0..<columns where cells[index(column, y / 4)].owner == nil {
      switch ink {
      case .glyph: mark(column, y / 4, ink, owner: owner)
      case .dots:
        guard !column.isMultiple(of: 3) else { continue }
        mark(2 * column, y, ink, owner: owner)
        mark(2 * column + 1, y, ink, owner: owner)
      }
    }
  }

  /// The row of cells that a height of the unit square falls into.
  func row(at height: Double) -> Int { dotRow(at: height) / 4 }

  /// The column of cells that a distance of the unit square falls into.
  func column(at distance: Double) -> Int { dotColumn(at: distance) / 2 }

  /// One row as text without the empty cells at its end, each cell in the style of its owner.
  func text(row: Int, on terminal: Terminal, style: (Int) -> Style) -> String {
    var result = ""
    var (run, runOwner) = ("", Int?.none)
    let line = cells[index(0, row)..<index(0, row + 1)]
    guard let last = line.lastIndex(where: { $0.owner != nil }) else { return "" }
    for cell in line.prefix(through: last) {
      if cell.owner != runOwner {
        result += runOwner.map { terminal.styled(run, style($0)) } ?? run
        (run, runOwner) = ("", cell.owner)
      }
      let braille = Unicode.Scalar(0x2800 + UInt32(cell.dots)).map(Character.init)
      run.append(cell.glyph ?? (cell.dots == 0 ? " " : braille) ?? " ")
    }
    return result + (runOwner.map { terminal.styled(run, style($0)) } ?? "")
  }

  private func dotRow(at height: Double) -> Int {
    Int(((1 - height) * Double(rows * 4 - 1)).rounded())
  }

  private func dotColumn(at distance: Double) -> Int {
    Int((distance * Double(columns * 2 - 1)).rounded())
  }

  private func index(_ column: Int, _ row: Int) -> Int { row * columns + column }

  private mutating func mark(_ x: Int, _ y: Int, _ ink: Ink, owner: Int) {
    switch ink {
    case .glyph(let glyph): cells[index(x, y)] = Cell(glyph: glyph, owner: owner)
    case .dots:
      // Bits of a braille cell: 1 2 3 7 down the left, 4 5 6 8 down the right.
      let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
      let place = index(x / 2, y / 4)
      cells[place].dots |= bits[y % 4][x % 2]
      cells[place].owner = owner
    }
  }
}
