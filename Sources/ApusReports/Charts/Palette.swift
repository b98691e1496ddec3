/// Colours that people with any colour vision can tell apart, in a fixed order.
///
/// - Source: Paul Tol, "Colour schemes", technical note SRON/EPS/TN/09-002, schemes "bright" and
///   "muted"; darkened or lightened until text on them is legible, and rounded to the 256-colour
///   table for terminals.
enum Palette {
  /// One colour in its three forms.
  struct Color {
    /// On white, as in CSS.
    let light: String
    /// On nearly black, as in CSS.
    let dark: String
    /// Index in the 256-colour table of terminals.
    let terminal: Int
  }

  /// The colours; more series than colours begin again.
  static let colors = [
    Color(light: "#3b6fb0", dark: "#6ea8e8", terminal: 75),
    Color(light: "#d0395a", dark: "#f2808f", terminal: 204),
    Color(light: "#228833", dark: "#58b868", terminal: 71),
    Color(light: "#977800", dark: "#dcc04f", terminal: 178),
    Color(light: "#1f86a6", dark: "#7dd3ee", terminal: 80),
    Color(light: "#aa3377", dark: "#d974ae", terminal: 169),
    Color(light: "#c2620f", dark: "#f5a45c", terminal: 208),
    Color(light: "#6b57b8", dark: "#a596ea", terminal: 141),
    Color(light: "#4f7a74", dark: "#8fbdb6", terminal: 109),
    Color(light: "#86642f", dark: "#c9a36a", terminal: 137),
  ]

  static func color(_ index: Int) -> Color { colors[index % colors.count] }
}
