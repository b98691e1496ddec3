import Foundation

/// What the place that text is written to can show.
///
/// Everything that draws asks a value of this type and never the process, so a drawing is a pure
/// function of its data and its terminal.
public struct Terminal: Sendable, Equatable {
  /// Whether a person watches: the stream is a terminal and not a file or a pipe.
  public var isTTY: Bool
  /// Width in columns, at least 20.
  public var width: Int
  /// Whether colour codes may be written.
  public var allowsColor: Bool
  /// Whether lines may be repainted; a dumb terminal and a file only take more text.
  public var allowsRepainting: Bool
  /// Whether box drawing and braille can be shown; otherwise drawings are made of ASCII.
  public var allowsUnicode: Bool

  /// Reads the conventions of the environment.
  ///
  /// `NO_COLOR` (not empty) wins over `CLICOLOR_FORCE` (not empty, not 0), and both over `TERM`.
  /// The locale is the first set one of `LC_ALL`, `LC_CTYPE` and `LANG`.
  ///
  /// - Parameters:
  ///   - environment: Environment variables of the process.
  ///   - isTTY: Whether the stream is a terminal.
  ///   - width: Columns as the terminal reports them; nil falls back to `COLUMNS`, then 80.
  public init(environment: [String: String], isTTY: Bool, width: Int? = nil) {
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    let isCapable = isTTY && value("TERM").map { $0 != "dumb" } ?? false
    let isForced = value("CLICOLOR_FORCE").map { $0 != "0" } ?? false
    let columns = value("COLUMNS").flatMap { Int($0) }
    let locale = (value("LC_ALL") ?? value("LC_CTYPE") ?? value("LANG") ?? "").lowercased()
    self.isTTY = isTTY
    self.width = max(20, width.flatMap { $0 > 0 ? $0 : nil } ?? columns ?? 80)
    allowsColor = value("NO_COLOR") == nil && (isForced || isCapable)
    allowsRepainting = isCapable
    allowsUnicode = locale.contains("utf-8") || locale.contains("utf8")
  }

  /// The terminal, file or pipe behind a standard stream of this process, as it is now.
  ///
  /// - Parameter stream: Where the text will go.
  /// - Returns: Its abilities; ask again after the window may have been resized.
  public static func current(_ stream: StandardStream) -> Terminal {
    var size = winsize()
    let answered = ioctl(stream.rawValue, UInt(TIOCGWINSZ), &size) == 0
    return Terminal(
      environment: ProcessInfo.processInfo.environment, isTTY: isatty(stream.rawValue) == 1,
      width: answered ? Int(size.ws_col) : nil)
  }

  /// The text in that style, or the text alone where colour is not allowed.
  public func styled(_ text: String, _ style: Style) -> String {
    guard allowsColor, !style.codes.isEmpty, !text.isEmpty else { return text }
    return "\u{1B}[\(style.codes.joined(separator: ";"))m\(text)\u{1B}[0m"
  }
}

/// One of the two streams that a process writes to.
public enum StandardStream: Int32, Sendable {
  /// Results.
  case output = 1
  /// Progress and errors.
  case error = 2

  /// Writes the text at once and unbuffered; a closed stream swallows it.
  public func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(rawValue, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if errno == EAGAIN {
        // A full pipe that does not block: half a line would be worse than a pause.
        var descriptor = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        poll(&descriptor, 1, -1)
      } else if errno != EINTR {
        return
      }
    }
  }
}
