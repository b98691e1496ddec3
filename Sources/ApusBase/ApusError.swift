/// What went wrong, where, and what the user can do about it.
///
/// Everything that a user, a file or another machine supplies is answered with this error, never
/// with a trap. The description is one line that can be printed as it stands.
public struct ApusError: Error, CustomStringConvertible, Sendable {
  /// A kind of failure; a struct with static members, so that minor releases can add codes.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// Stable name of the code, in camel case.
    public let description: String

    init(_ name: String) { description = name }

    /// A configuration file or an option has a wrong value or an unknown field.
    public static let invalidConfig = Code("invalidConfig")
    /// A data file holds a row that cannot be read.
    public static let invalidData = Code("invalidData")
    /// A file does not have the format that its name promises.
    public static let invalidFile = Code("invalidFile")
    /// A file or folder is missing or cannot be read or written.
    public static let fileAccess = Code("fileAccess")
    /// A checkpoint lacks tensors or has ones that its architecture does not know.
    public static let checkpointMismatch = Code("checkpointMismatch")
    /// A tensor has another shape than the one expected.
    public static let shapeMismatch = Code("shapeMismatch")
    /// A value is NaN or infinite.
    public static let nonFinite = Code("nonFinite")
    /// A message between the halves of a method is malformed.
    public static let invalidMessage = Code("invalidMessage")
    /// An operation of libtorch failed.
    public static let tensorOperation = Code("tensorOperation")
    /// A component is known but not supported by this version.
    public static let unsupported = Code("unsupported")
    /// A check for silent failure fired: nothing crashed, but the result would mean nothing.
    public static let silentFailure = Code("silentFailure")
    /// A run folder is in use, incomplete or of another version.
    public static let runState = Code("runState")
    /// The user or the system asked to stop; the run can be resumed.
    public static let interrupted = Code("interrupted")
  }

  /// The kind of failure, for programs that decide by it.
  public let code: Code
  /// File and field, or round, client and tensor.
  public let location: String
  /// What was expected and what was found.
  public let problem: String
  /// One imperative sentence, without its full stop.
  public let remedy: String
  /// The error from below: libtorch, file system, Flower.
  public let cause: (any Error)?

  /// Creates an error; none of the texts ends in a full stop.
  public init(
    _ code: Code, at location: String, _ problem: String, remedy: String,
    cause: (any Error)? = nil
  ) {
    self.code = code
    self.location = location
    self.problem = problem
    self.remedy = remedy
    self.cause = cause
  }

  public var description: String { "\(location): \(problem). \(remedy)." }

  /// The same error with `prefix` in front of its location, for callers that know more of where.
  public func located(in prefix: String) -> ApusError {
    ApusError(code, at: "\(prefix), \(location)", problem, remedy: remedy, cause: cause)
  }
}
