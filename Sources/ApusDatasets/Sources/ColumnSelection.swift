/// Which columns of a table, or fields of a JSON object, make an example.
///
/// The names are those of the file; nothing is guessed from them.
public struct ColumnSelection: Hashable, Codable, Sendable {
  /// Column of the text, or of the first text of a pair.
  public var text: String
  /// Column of the second text; an empty or null value means that the row has none.
  public var pair: String?
  /// Column of the text that is to follow, for models that write.
  public var response: String?
  /// Column of the tags of the text's words.
  ///
  /// The text is then a list of words, and so are they: an array in JSON, or separated by spaces.
  public var tags: String?
  /// Column of the place where the response begins in the second text, in Unicode scalars.
  public var responseStart: String?
  /// Column of the class, an index or a name.
  public var label: String?
  /// Column that names the class of an index in ``label``, or that alone gives the class.
  public var labelText: String?
  /// Column of the row's natural owner.
  public var client: String?

  public init(
    text: String = "text", pair: String? = nil, response: String? = nil, tags: String? = nil,
    responseStart: String? = nil, label: String? = nil, labelText: String? = nil,
    client: String? = nil
  ) {
    self.tags = tags
    self.responseStart = responseStart
    self.text = text
    self.pair = pair
    self.response = response
    self.label = label
    self.labelText = labelText
    self.client = client
  }

  private enum CodingKeys: String, CodingKey {
    case text
    case pair
    case response
    case tags
    case responseStart = "response-start"
    case label
    case labelText = "label-text"
    case client
  }

  /// Decodes the names; the text is in the column "text" if none is given.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    text = try fields.decodeIfPresent(String.self, forKey: .text) ?? text
    pair = try fields.decodeIfPresent(String.self, forKey: .pair)
    response = try fields.decodeIfPresent(String.self, forKey: .response)
    tags = try fields.decodeIfPresent(String.self, forKey: .tags)
    responseStart = try fields.decodeIfPresent(String.self, forKey: .responseStart)
    label = try fields.decodeIfPresent(String.self, forKey: .label)
    labelText = try fields.decodeIfPresent(String.self, forKey: .labelText)
    client = try fields.decodeIfPresent(String.self, forKey: .client)
  }

  /// The chosen columns, each once, in the order of the properties.
  var names: [String] {
    var seen: Set<String> = []
    return [text, pair, response, tags, responseStart, label, labelText, client]
      .compactMap(\.self).filter { seen.insert($0).inserted }
  }
}

/// What happens to a row that cannot be read.
public enum BadRowPolicy: Hashable, Sendable {
  /// The first bad row ends the reading with its error.
  case fail
  /// Bad rows are left out and counted; the errors of the first `reports` of them are kept.
  case skip(reports: Int)
}
