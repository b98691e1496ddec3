// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

// scripts/setup links .venv/libtorch to the folder that holds libtorch's include/ and lib/.
let libtorch = "\(Context.packageDirectory)/.venv/libtorch"

/// Lets programs and tests of this package find libtorch, at build time and at run time.
///
/// Libraries carry no such flag, so that other packages can depend on them; those get include and
/// link paths from apus-libtorch.pc.
let linkToTorch: [LinkerSetting] = [
  .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"])
]

/// A room of the house: one library target and, beside it, its tests.
func room(
  _ name: String, _ dependencies: [Target.Dependency], tests: [Target.Dependency] = []
) -> [Target] {
  [
    .target(name: name, dependencies: dependencies, swiftSettings: settings),
    .testTarget(
      name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies + tests,
      swiftSettings: settings, linkerSettings: linkToTorch),
  ]
}

let torch: [Target] = [
  // Carries the compiler and linker flags of libtorch into packages that depend on this one.
  .systemLibrary(name: "CLibTorch", pkgConfig: "apus-libtorch"),
  .target(
    name: "CApusTorch", dependencies: ["CLibTorch"],
    cxxSettings: [
      .headerSearchPath("../../.venv/libtorch/include"),
      .headerSearchPath("../../.venv/libtorch/include/torch/csrc/api/include"),
    ],
    linkerSettings: ["torch", "torch_cpu", "c10"].map { .linkedLibrary($0) }),
]

/// The allocator of the programs; a library leaves that choice to the program that it is part of.
let jemalloc: [Target] = [
  .target(
    name: "CJemalloc", linkerSettings: [.linkedLibrary("jemalloc", .when(platforms: [.linux]))])
]

let package = Package(
  name: "apus",
  platforms: [.macOS(.v15)],
  dependencies: [
    // The run store: SQLite with typed rows, transactions and migrations.
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    // Experiment files, with the line of every value.
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    // The command's flags, help and completions.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    // Flower's messages on the wire.
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    // Flower's interface is HTTP/1.1, with TLS and private certificate authorities.
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    // What an HTTP request's timeout and trust roots are made of.
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    // SHA-256 names Flower's objects, HMAC signs for the isolation secret.
    .package(url: "https://github.com/apple/swift-crypto", "4.0.0"..<"5.0.0"),
  ],
  targets:
    torch + jemalloc
    + room("ApusBase", [])
    + room("ApusTorch", ["ApusBase", "CApusTorch"], tests: ["ApusTestSupport"])
    + room("ApusCore", ["ApusBase", "ApusTorch"], tests: ["ApusTestSupport"])
    + room("ApusTokenizers", ["ApusBase"], tests: ["ApusTestSupport"])
    + room("ApusModels", ["ApusBase", "ApusTorch", "ApusCore"], tests: ["ApusTestSupport"])
    + room(
      "ApusAdapters", ["ApusBase", "ApusTorch", "ApusCore"],
      tests: ["ApusModels", "ApusTestSupport"])
    + room("ApusDatasets", ["ApusBase"], tests: ["ApusTestSupport"])
    + room(
      "ApusTraining",
      [
        "ApusBase", "ApusTorch", "ApusCore", "ApusTokenizers", "ApusModels", "ApusAdapters",
        "ApusDatasets",
      ], tests: ["ApusTestSupport"])
    + room("ApusMethods", ["ApusBase", "ApusTorch", "ApusCore"], tests: ["ApusTestSupport"])
    + room(
      "ApusSimulation",
      ["ApusBase", "ApusTorch", "ApusCore", .product(name: "GRDB", package: "GRDB.swift")],
      tests: ["ApusTestSupport"])
    + [
      .target(
        name: "ApusTestSupport",
        dependencies: ["ApusBase", "ApusTorch", "ApusCore", "ApusModels", "ApusAdapters"],
        path: "Tests/ApusTestSupport", swiftSettings: settings)
    ]
    + room(
      "ApusExperiments",
      [
        "ApusBase", "ApusTorch", "ApusCore", "ApusTokenizers", "ApusModels", "ApusAdapters",
        "ApusDatasets", "ApusTraining", "ApusMethods", "ApusSimulation",
        .product(name: "Yams", package: "Yams"),
      ], tests: ["ApusTestSupport", "apus"])
    + room(
      "ApusFlower",
      [
        "ApusBase", "ApusTorch", "ApusCore", "ApusSimulation",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOFoundationCompat", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "Crypto", package: "swift-crypto"),
      ], tests: ["ApusTestSupport"])
    + room("ApusReports", ["ApusBase"])
    + [
      .executableTarget(
        name: "apus",
        dependencies: [
          "ApusBase", "ApusTorch", "ApusCore", "ApusTokenizers", "ApusModels", "ApusAdapters",
          "ApusDatasets", "ApusTraining", "ApusMethods", "ApusSimulation", "ApusExperiments",
          "ApusFlower", "ApusReports", "CJemalloc",
          .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings, linkerSettings: linkToTorch),
      .executableTarget(
        name: "apus-bench",
        dependencies: [
          "ApusBase", "ApusTorch", "ApusCore", "ApusModels", "ApusAdapters", "ApusMethods",
          "ApusSimulation", "ApusExperiments", "ApusTokenizers", "CJemalloc",
          .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        path: "Benchmarks/apus-bench", swiftSettings: settings, linkerSettings: linkToTorch),
      .testTarget(
        name: "ApusCommandTests", dependencies: ["apus", "ApusBase", "ApusTestSupport"],
        swiftSettings: settings, linkerSettings: linkToTorch),
    ],
  cxxLanguageStandard: .cxx20
)

// Every room is a product of its own, so that another package takes only what it needs.
package.products = package.targets.filter {
  $0.type == .regular && $0.name.hasPrefix("Apus") && $0.path == nil
}
.map { .library(name: $0.name, targets: [$0.name]) }
