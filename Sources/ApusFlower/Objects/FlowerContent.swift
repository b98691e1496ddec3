import ApusBase
import ApusCore
import Foundation

/// What a Flower message carries: records by name, in order; Flower's `RecordDict`.
struct FlowerContent: Sendable {
  /// Numbers and texts by name, in order.
  typealias Values = [(name: String, value: FieldValue)]

  /// One record.
  enum Record: Sendable {
    /// Arrays by name; strategies rely on their order.
    case arrays([(name: String, array: FlowerArray)])
    /// Numbers.
    case metrics(Values)
    /// Numbers, texts and truth values.
    case config(Values)
  }

  var records: [(name: String, record: Record)]

  init(_ records: [(name: String, record: Record)] = []) { self.records = records }

  /// The arrays of the only array record, or of the one of this name.
  func arrays(_ name: String? = nil) -> [(name: String, array: FlowerArray)]? {
    for record in records where name == nil || record.name == name {
      if case .arrays(let arrays) = record.record { return arrays }
    }
    return nil
  }

  /// All config values, of every config record.
  var config: [String: FieldValue] {
    var all: [String: FieldValue] = [:]
    for case (_, .config(let values)) in records {
      for (name, value) in values { all[name] = value }
    }
    return all
  }

  /// All metrics, of every metric record.
  var metrics: [String: FieldValue] {
    var all: [String: FieldValue] = [:]
    for case (_, .metrics(let values)) in records {
      for (name, value) in values { all[name] = value }
    }
    return all
  }
}

extension Flwr_Proto_ConfigRecord {
  /// The record of these values.
  init(_ values: FlowerContent.Values) {
    self.init()
    items = values.map { name, value in
      var item = Flwr_Proto_ConfigRecord.Item()
      item.key = name
      switch value {
      case .int(let value): item.value.sint64 = Int64(value)
      case .double(let value): item.value.double = value
      case .string(let value): item.value.string = value
      case .bool(let value): item.value.bool = value
      }
      return item
    }
  }

  /// The values that are single numbers, texts or truth values; lists and bytes are left out.
  var values: FlowerContent.Values {
    items.compactMap { item in
      let value: FieldValue? =
        switch item.value.value {
        case .sint64(let value): .int(Int(value))
        case .uint64(let value): Int(exactly: value).map { .int($0) }
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .bool(let value): .bool(value)
        default: nil
        }
      return value.map { (item.key, $0) }
    }
  }
}

extension Flwr_Proto_MetricRecord {
  /// The record of these numbers; texts and truth values have no place in it.
  init(_ values: FlowerContent.Values) {
    self.init()
    items = values.compactMap { name, value in
      var item = Flwr_Proto_MetricRecord.Item()
      item.key = name
      switch value {
      case .int(let value): item.value.sint64 = Int64(value)
      case .double(let value): item.value.double = value
      default: return nil
      }
      return item
    }
  }

  /// The values that are single numbers.
  var values: FlowerContent.Values {
    items.compactMap { item in
      let value: FieldValue? =
        switch item.value.value {
        case .sint64(let value): .int(Int(value))
        case .uint64(let value): Int(exactly: value).map { .int($0) }
        case .double(let value): .double(value)
        default: nil
        }
      return value.map { (item.key, $0) }
    }
  }
}
