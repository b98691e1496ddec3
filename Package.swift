// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A room of the house: one library target and, beside it, its tests.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> [Target] {
  [
    .target(name: name, dependencies: dependencies, swiftSettings: settings),
    .testTarget(
      name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
      swiftSettings: settings),
  ]
}

let package = Package(
  name: "apus",
  platforms: [.macOS(.v15)],
  products: [],
  targets:
    room("ApusBase", [])
    + room("ApusTokenizers", ["ApusBase"])
    + room("ApusDatasets", ["ApusBase"])
    + room("ApusReports", ["ApusBase"])
)
