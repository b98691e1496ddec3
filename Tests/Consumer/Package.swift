// swift-tools-version: 6.2
import PackageDescription

let rooms = ["ApusAdapters", "ApusBase", "ApusModels", "ApusTokenizers", "ApusTorch"]

let package = Package(
  name: "consumer",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "apus", path: "../..")],
  targets: [
    .executableTarget(
      name: "consumer", dependencies: rooms.map { .product(name: $0, package: "apus") },
      path: "Sources")
  ]
)
