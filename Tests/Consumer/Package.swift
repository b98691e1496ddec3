// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "consumer",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "apus", path: "../..")],
  targets: [
    .executableTarget(
      name: "consumer",
      dependencies: [
        .product(name: "ApusCore", package: "apus"), .product(name: "ApusTorch", package: "apus"),
      ],
      path: "Sources")
  ]
)
