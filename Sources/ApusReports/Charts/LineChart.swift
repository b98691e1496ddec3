/// Curves over one axis, such as accuracy by round, one curve a method.
///
/// Values that are not finite are left out and interrupt their curve. Without anything to draw
/// the chart says so instead of failing.
public struct LineChart: Sendable {
  /// One place of a curve.
  public struct Point: Sendable, Hashable {
    /// Position on the horizontal axis.
    public let x: Double
    /// Position on the vertical axis.
    public let y: Double

    public init(_ x: Double, _ y: Double) {
      self.x = x
      self.y = y
    }

    /// Whether the point can be drawn.
    var isShown: Bool { Ticks.canShow(x) && Ticks.canShow(y) }
  }

  /// A named curve.
  public struct Series: Sendable {
    /// Name in the legend.
    public let name: String
    /// Places that are joined in this order.
    public let points: [Point]

    public init(_ name: String, _ points: [Point]) {
      self.name = name
      self.points = points
    }

    /// The points in runs without a gap.
    var runs: [[Point]] {
      points.split { !$0.isShown }.map(Array.init)
    }
  }

  /// A horizontal line to compare with, such as what always guessing the largest class scores.
  public struct Reference: Sendable {
    /// Name in the legend, without the value.
    public let name: String
    /// Height of the line.
    public let y: Double

    public init(_ name: String, y: Double) {
      self.name = name
      self.y = y
    }
  }

  /// What an axis shows.
  public struct Axis: Sendable {
    /// Name beside the axis.
    public let label: String
    /// How its numbers are written.
    public let style: NumberStyle

    public init(_ label: String, _ style: NumberStyle = .number) {
      self.label = label
      self.style = style
    }
  }

  /// Heading.
  public let title: String
  /// Horizontal axis.
  public let xAxis: Axis
  /// Vertical axis.
  public let yAxis: Axis
  /// The curves, drawn in this order.
  public var series: [Series]
  /// Lines to compare with.
  public var references: [Reference]

  public init(
    title: String, x: Axis, y: Axis, series: [Series] = [], references: [Reference] = []
  ) {
    self.title = title
    xAxis = x
    yAxis = y
    self.series = series
    self.references = references
  }

  /// All points that can be drawn.
  var shownPoints: [Point] { series.flatMap { $0.points.filter(\.isShown) } }

  /// References that can be drawn.
  var shownReferences: [Reference] { references.filter { Ticks.canShow($0.y) } }

  /// Ticks of both axes; the vertical one also covers the references.
  func ticks(columns: Int, rows: Int) -> (x: Ticks, y: Ticks) {
    let points = shownPoints
    return (
      Ticks(covering: points.map(\.x), about: columns, whole: xAxis.style == .whole),
      Ticks(
        covering: points.map(\.y) + shownReferences.map(\.y), about: rows,
        whole: yAxis.style == .whole)
    )
  }

  /// Name and value of a reference, as the legend writes it.
  func legend(of reference: Reference) -> String {
    "\(reference.name) \(yAxis.style.text(reference.y))"
  }
}
